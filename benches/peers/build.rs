//! The service that tonic serves, from a description instead of a `.proto` file.

fn main() {
    #[cfg(feature = "rivals")]
    {
        use tonic_build::manual::{Builder, Method, Service};
        let method = |name: &str, route: &str, message: &str| {
            let message = format!("crate::tonic_peer::{message}");
            Method::builder()
                .name(name)
                .route_name(route)
                .input_type(&message)
                .output_type(&message)
                .codec_path("tonic_prost::ProstCodec")
                .build()
        };
        let echo = Service::builder()
            .name("Echo")
            .package("peers")
            .method(method("echo", "Echo", "Text"))
            .method(method("echo_bytes", "EchoBytes", "Blob"))
            .method(method("echo_order", "EchoOrder", "Order"))
            .build();
        Builder::new().compile(&[echo]);
    }
}

//! An interface may be made inside a function, and its own attribute may go by another path.

fn main() {
    struct Clock;

    #[graft_ugm::interface(crate = "graft_ugm")]
    impl Clock {
        #[graft_ugm::interface(effect = "read-only")]
        pub fn hour(&self) -> u8 {
            12
        }
    }

    let interface = <Clock as graft_ugm::Described>::interface();
    assert_eq!(interface.guard().methods[0].tool.effect, graft_core::Effect::ReadOnly);
}

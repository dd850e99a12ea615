use graft_ugm::interface;

struct Files;

#[interface(crate = "graft_ugm")]
impl Files {
    #[interface(resources(arg = "path", pattern = "https://x.example/", trust = "trusted"))]
    pub fn read(&self, path: &str) {
        let _ = path;
    }
}

fn main() {}

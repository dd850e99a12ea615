use graft_ugm::interface;

struct Files;

#[interface(crate = "graft_ugm")]
impl Files {
    #[interface(resources(arg = "file", pattern = "/own/**", trust = "trusted"))]
    pub fn read(&self, path: &str) {
        let _ = path;
    }
}

fn main() {}

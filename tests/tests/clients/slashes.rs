//! Encoded slashes in paths, in front of an upstream that decodes them.

use std::fs;
use std::process::{Command, Stdio};

use ingress_tests::ingresses::{path, rule, unclassed};
use ingress_tests::{KeepAlive, Process, Service, Serving, free_port, get, wait_until};
use serde_json::json;

/// Python's server of files: it decodes the path, and then resolves dot segments.
struct Files {
    _folder: tempfile::TempDir,
    _process: Process,
    port: u16,
}

impl Files {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["public/a/b", "public/c", "admin/secret", "publicity"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
            fs::write(path, file).expect("a file is written");
        }
        let port = free_port();
        let mut server = Command::new("python3");
        server.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
        server.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut server);
        wait_until("Python listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { _folder: folder, _process: process, port }
    }

    fn serve(&self, flags: &[&str]) -> Serving {
        let public = rule("web.example", &[path("/public", "Prefix", "web")]);
        let ingress = unclassed("web", &json!({"rules": [public]}));
        let web = Service::new("web").at_address(([127, 0, 0, 1], self.port).into());
        let manifests = format!("{}\n---\n{ingress}\n", web.manifests());
        let class = ["--ingress-controller-mode", "default"];
        Serving::start_with(&manifests, &[&class[..], flags].concat())
    }
}

#[test]
fn they_are_kept_if_the_setting_says_so() {
    let files = Files::start();
    let reply = |serving: &Serving, path: &str| {
        let answer = get(serving.http, "web.example", path);
        (answer.status, answer.body)
    };
    let serving = files.serve(&[]);
    assert_eq!(reply(&serving, "/public/a%2Fb").0, 400);
    let serving = files.serve(&["--escaped-slashes", "keep"]);
    for path in ["/public/a/b", "/public/a%2Fb", "/public/a%2fb", "/public/%2f/a%2Fb"] {
        assert_eq!(reply(&serving, path), (200, "public/a/b".into()), "{path}");
    }
    // Its server does not treat it as a slash.
    assert_eq!(reply(&serving, "/public/a%5Cb").0, 404);
}

#[test]
fn no_path_is_reached_that_is_not_exposed() {
    let files = Files::start();
    let serving = files.serve(&["--escaped-slashes", "keep"]);
    let mut client = KeepAlive::connect(serving.http);
    let slashes = ["/", "%2f", "%2F", "%5c", "%5C", "\\", "//", "%2f%2f", "/%2f", "%2f/"];
    let dots = ["..", "%2e%2e", "%2E.", "..;", "..;x", ".", "%2e", "a/..", "..%2f..", "a%2f.."];
    let mut tried = 0;
    for first in slashes {
        for dots in dots {
            for second in slashes {
                for target in ["admin", "%61dmin", "publicity"] {
                    for last in slashes {
                        let path = format!("/public{first}{dots}{second}{target}{last}secret");
                        let answer = client.get("web.example", &path);
                        let is_public = answer.body.starts_with("public/")
                            || answer.body.contains("Directory listing for /public/");
                        assert!(answer.status != 200 || is_public, "{path}: {answer:?}");
                        tried += 1;
                    }
                }
            }
        }
    }
    assert_eq!(tried, 30_000);
    assert_eq!(client.get("web.example", "/public/c").body, "public/c");
}

//! Real clients and real upstreams, in several languages.

mod bodies;
mod endpoints;
mod grpc;
mod grpc_web;
mod http_clients;
mod streams;
mod targets;
mod upstreams;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use ingress_tests::ingresses::{host_to, unclassed};
use ingress_tests::{Server, Service, Serving, python, tool, workspace};

/// The host of most requests.
const HOST: &str = "web.example";

/// A program of these tests.
fn program(name: &str) -> PathBuf {
    workspace().join("tests/tests/real/programs").join(name)
}

/// Runs a command, and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// The application of `asgi_server.py`.
fn asgi() -> Server {
    Server::start(python().arg(program("asgi_server.py")))
}

/// Serves hosts, each from these endpoints of its own service; `others` are more objects.
fn serve(services: &[(&str, &[SocketAddr])], others: &str) -> Serving {
    serve_with(&manifests(services, others), &[])
}

fn serve_with(manifests: &str, flags: &[&str]) -> Serving {
    Serving::start_with(manifests, &[&["--ingress-controller-mode", "default"], flags].concat())
}

/// The service of a host has the host's first label as its name, and that of `web.example`
/// is `web`.
fn manifests(services: &[(&str, &[SocketAddr])], others: &str) -> String {
    let objects = services.iter().map(|(host, endpoints)| {
        let name = host.split('.').next().expect("a label");
        let service = Service::new(name);
        let service = endpoints.iter().fold(service, |service, at| service.at_address(*at));
        format!("{}\n---\n{}\n---\n", service.manifests(), unclassed(name, &host_to(host, name)))
    });
    objects.collect::<String>() + others
}

/// curl for this path of [`HOST`], with these flags.
fn curl(address: SocketAddr, path: &str, flags: &[impl AsRef<OsStr>]) -> Command {
    curl_host(address, HOST, path, flags)
}

/// As [`curl`], for another host.
fn curl_host(address: SocketAddr, host: &str, path: &str, flags: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(tool("curl"));
    command
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"])
        .args(["--header", &format!("host: {host}")])
        .args(flags)
        .arg(format!("http://{address}{path}"));
    command
}

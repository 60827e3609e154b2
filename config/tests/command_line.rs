//! What people type: flags, addresses, mistakes, and the exit codes that scripts
//! rely on.

mod sandbox;

use sandbox::{INGRESS, SERVICE, Sandbox};

fn with_manifests() -> Sandbox {
    Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)])
}

const BOOLEANS: [&str; 4] =
    ["--access-log", "--cross-namespace-rules", "--external-name-services", "--regex-paths"];

#[test]
fn a_boolean_flag_leaves_the_next_word_alone() {
    let sandbox = with_manifests();
    for flag in BOOLEANS {
        for flag in [flag, &format!("{flag}=true"), &format!("{flag}=false")] {
            let arguments = ["explain", "-f", ".", flag, "http://any.example/cart"];
            let output = sandbox.run(&arguments);
            assert_eq!(output.code, Some(0), "{flag}: {output:?}");
            assert!(output.stdout.contains("cart.default.svc.cluster.local|80"), "{output:?}");
        }
        let help = sandbox.run(&["check", "--help"]).stdout;
        assert!(help.contains(&format!("{flag}[=<BOOL>]")), "{flag}: {help}");
        let output = sandbox.run(&["check", "-f", ".", &format!("{flag}=maybe")]);
        assert_eq!(output.code, Some(2), "{flag}: {output:?}");
    }
}

//! The commands as scripts see them: arguments in, exit code and output out.

mod sandbox;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sandbox::{INGRESS, NO_SERVICE, SERVICE, Sandbox};
use serde_json::{Value, json};

#[test]
fn check_says_nothing_where_nothing_is_wrong() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("more/service.yaml", SERVICE)]);
    let clean = "3 objects read, 1 Ingress served, 0 objects ignored: no findings\n";
    sandbox.run(&["check", "-f", "ingress.yaml", "-f", "more/service.yaml"]).expect(0, "", clean);
    // A folder is read with all its manifests.
    sandbox.write("more/ingress.yml", INGRESS);
    sandbox.write("more/notes.txt", "a: b: c");
    sandbox.run(&["check", "-f", "more"]).expect(0, "", clean);
    sandbox.run(&["check", "-f", "more", "-f", "more"]).expect(0, "", clean);
}

#[test]
fn check_ends_with_what_was_read_served_and_ignored() {
    let other =
        INGRESS.replace("class: istio", "class: nginx").replace("name: shop", "name: other");
    let unserved = INGRESS.replace("name: shop", "name: unserved").replace("/cart", "cart");
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\n";
    let all = [INGRESS, &other, &unserved, deployment, "replicas: 2\n", SERVICE].join("---\n");
    let sandbox = Sandbox::new(&[("all.yaml", &all)]);
    let output = sandbox.run(&["check", "-f", "all.yaml"]);
    assert_eq!(
        output.stderr,
        "5 objects read, 1 of 2 Ingresses served, 3 objects ignored: 1 error and 1 note\n"
    );
}

#[test]
fn check_fails_on_errors_alone() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)]);
    sandbox.run(&["check", "-f", "ingress.yaml"]).expect(
        1,
        &format!("ingress.yaml:12:35: {NO_SERVICE}\n"),
        "1 object read, 1 Ingress served, 0 objects ignored: 1 error\n",
    );
    sandbox.write("typo.yaml", &INGRESS.replace("rules:", "tsl: x\n  rules:"));
    let warning = "typo.yaml:7:3: warning: Ingress default/shop: spec.tsl: unknown field, which has no effect";
    let output = sandbox.run(&["check", "-f", "typo.yaml", "-f", "service.yaml"]);
    assert!(output.stdout.starts_with(warning) && output.stdout.lines().count() == 1, "{output:?}");
    assert_eq!(
        (output.code, &*output.stderr),
        (Some(0), "3 objects read, 1 Ingress served, 0 objects ignored: 1 warning\n")
    );
    let output = sandbox.run(&["check", "-f", "typo.yaml"]);
    assert_eq!(
        (output.code, &*output.stderr),
        (Some(1), "1 object read, 1 Ingress served, 0 objects ignored: 1 error and 1 warning\n")
    );
}

#[test]
fn check_names_what_cannot_be_read() {
    let sandbox = Sandbox::new(&[("bad.yaml", "a: b: c\n"), ("empty/notes.txt", "")]);
    sandbox.run(&["check", "-f", "missing.yaml"]).expect(
        1,
        "missing.yaml:1:1: error: does not exist; correct the path, or create the file [file-not-found]\n",
        "0 objects read, 0 Ingresses served, 0 objects ignored: 1 error\n",
    );
    let output = sandbox.run(&["check", "-f", "bad.yaml"]);
    assert!(output.stdout.starts_with("bad.yaml:1:5: error: is not valid YAML: "), "{output:?}");
    assert_eq!(output.code, Some(1));
    let output = sandbox.run(&["check", "-f", "empty"]);
    assert!(output.stdout.starts_with("empty:1:1: warning: "), "{output:?}");
    assert_eq!(output.code, Some(0));
}

#[test]
fn check_reads_standard_input() {
    let sandbox = Sandbox::new(&[("service.yaml", SERVICE)]);
    let line = format!("<stdin>:12:35: {NO_SERVICE}\n");
    let tally = "1 object read, 1 Ingress served, 0 objects ignored: 1 error\n";
    sandbox.run_with(&["check", "-f", "-"], INGRESS).expect(1, &line, tally);
    let tally = "3 objects read, 1 Ingress served, 0 objects ignored: no findings\n";
    sandbox.run_with(&["check", "-f", "-", "-f", "service.yaml"], INGRESS).expect(0, "", tally);
}

#[test]
fn check_prints_one_object_a_line_as_json() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS)]);
    let output = sandbox.run(&["check", "-o", "json", "-f", "ingress.yaml", "-f", "missing.yaml"]);
    let tally = "1 object read, 1 Ingress served, 0 objects ignored: 2 errors\n";
    assert_eq!((output.code, &*output.stderr), (Some(1), tally));
    let lines: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected = json!([
        {
            "file": "ingress.yaml", "line": 12, "column": 35, "severity": "error",
            "code": "service-not-found",
            "object": {
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "namespace": "default", "name": "shop",
            },
            "field": "spec.rules[0].http.paths[0].backend.service.name",
            "message": "there is no service `cart` in namespace default; add it, or correct the name. The path answers 503",
        },
        {
            "file": "missing.yaml", "line": 1, "column": 1, "severity": "error",
            "code": "file-not-found",
            "message": "does not exist; correct the path, or create the file",
        },
    ]);
    assert_eq!(Value::from(lines), expected);
}

#[test]
fn settings_come_from_a_file_and_flags_win() {
    let other_class = INGRESS.replace("class: istio", "class: mine");
    let sandbox = Sandbox::new(&[
        ("all.yaml", &format!("{other_class}---\n{SERVICE}")),
        ("settings.yaml", "# Ours\ningressClass: mine\nclusterDomain: file.example\n"),
        ("empty.yaml", ""),
        ("comments.yaml", "# nothing yet\n---\n"),
    ]);
    let table = |flags: &[&str]| {
        let arguments = [&["compile", "-f", "all.yaml", "-o", "out"], flags].concat();
        let output = sandbox.run(&arguments);
        assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{}", output.stderr);
        fs::read_to_string(sandbox.path("out/route-table.json")).expect("a table")
    };
    assert!(!table(&[]).contains("/cart"));
    assert!(!table(&["--settings", "empty.yaml"]).contains("/cart"));
    assert!(!table(&["--settings", "comments.yaml"]).contains("/cart"));
    assert!(table(&["--settings", "settings.yaml"]).contains("svc.file.example"));
    let flag = ["--settings", "settings.yaml", "--cluster-domain", "flag.example"];
    assert!(table(&flag).contains("svc.flag.example"));
    assert!(table(&["--ingress-class", "mine"]).contains("svc.cluster.local"));
    let flag = ["--settings", "settings.yaml", "--ingress-controller-mode", "off"];
    assert!(!table(&flag).contains("/cart"));
}

#[test]
fn help_tells_what_scripts_rely_on() {
    let sandbox = Sandbox::new(&[]);
    let contracts = [
        ("check", "file:line:col: error|warning|note: object: field: message"),
        ("check", "Exits with 1 if any of them is an error"),
        ("check", "sarif"),
        ("compile", "bootstrap.json"),
        ("compile", "route-table.json"),
        ("compile", "exits with 1"),
        ("compile", "writes nothing and exits with 3"),
        ("serve", "--http"),
        ("explain", "-f, --filename <PATH>"),
        ("demo", "Usage: ingressctl demo"),
    ];
    let overview = sandbox.run(&["--help"]);
    assert_eq!(overview.code, Some(0));
    for (command, promise) in contracts {
        assert!(overview.stdout.contains(&format!("  {command} ")), "{command}");
        let help = sandbox.run(&[command, "--help"]);
        let text = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(help.code, Some(0), "{command}");
        assert!(text.contains(promise), "{command}: {promise}\n{}", help.stdout);
    }
    for setting in ["--settings", "--ingress-class", "--cluster-domain", "[default: strict]"] {
        assert!(sandbox.run(&["check", "--help"]).stdout.contains(setting), "{setting}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let sandbox = Sandbox::new(&[("all.yaml", INGRESS)]);
    for arguments in [
        &[][..],
        &["chekc"],
        &["check"],
        &["check", "all.yaml"],
        &["check", "-f"],
        &["check", "-f", "all.yaml", "-o", "xml"],
        &["check", "-f", "all.yaml", "--ingress-controller-mode", "loose"],
        &["check", "-f", "all.yaml", "--trusted-hops", "-1"],
        &["check", "-f", "all.yaml", "--cluster-domain", "a b"],
        &["check", "-f", "all.yaml", "--gateway-name", "a.b"],
        &["check", "-f", "all.yaml", "--gateway-labels", "a b=c"],
        &["compile", "-f", "all.yaml"],
        &["compile", "-f", "all.yaml", "-o", "out", "--http", "edge.example:80"],
    ] {
        let output = sandbox.run(arguments);
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{arguments:?}: {output:?}");
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_route_table_is_turned_into_each_form_and_back() {
    let json = json!({
        "version": 1,
        "name": "by hand",
        "backends": [{"name": "a", "default": {"forward": {"cluster": "a"}}}],
        "virtual_hosts": [{"hosts": ["*"], "routes": [{"match": {"regex": "/a+"}, "backend": "a"}]}]
    });
    let bad = json!({"version": 1, "default_backend": {"backend": "a"}}).to_string();
    let sandbox = Sandbox::new(&[("table.json", &json.to_string()), ("bad.json", &bad)]);
    let run = |arguments: &[&str]| {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
        output.stdout
    };
    run(&["table", "table.json", "-o", "table.bin"]);
    run(&["table", "table.bin", "--to", "embedded", "-o", "embedded.json"]);
    run(&["table", "embedded.json", "-o", "again.bin"]);
    assert_eq!(
        fs::read(sandbox.0.path().join("table.bin")).unwrap(),
        fs::read(sandbox.0.path().join("again.bin")).unwrap()
    );
    let back: Value = serde_json::from_str(&run(&["table", "again.bin", "--to", "json"])).unwrap();
    assert_eq!(back, json);

    let refused = sandbox.run(&["table", "bad.json", "-o", "bad.bin"]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(
        refused.stderr,
        "bad.json:1:1: error: default_backend.backend: no backend is named \"a\"; add it [table-not-valid]\n"
    );
    assert_eq!(sandbox.run(&["table", "none.json"]).code, Some(1));
}

#[test]
fn explain_keeps_the_compiled_module_and_does_without() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)]);
    let explain = |cache: Option<&Path>| {
        let mut command = sandbox::ingressctl();
        command.args(["explain", "-f", ".", "http://any.example/cart"]);
        command.current_dir(sandbox.0.path()).env_remove("HOME").env_remove("XDG_CACHE_HOME");
        command.envs(cache.map(|cache| ("XDG_CACHE_HOME", cache)));
        let output = command.output().expect("ingressctl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let cache = tempfile::tempdir().expect("a folder");
    let compiled = explain(Some(cache.path()));
    let modules = cache.path().join("ingressctl/modules");
    assert!(fs::read_dir(modules).expect("its folder").next().is_some());
    assert_eq!(explain(Some(cache.path())), compiled, "from the cache");
    assert_eq!(explain(Some(Path::new("/dev/null"))), compiled, "without a writable cache");
    assert_eq!(explain(None), compiled, "without HOME");
}

/// The files in the controller's folder control Envoy, so other users must not be
/// able to write there.
#[test]
fn the_controller_uses_no_folder_or_file_that_others_decide_on() {
    let sandbox = Sandbox::new(&[]);
    let prepare = |folder: &str| sandbox.run(&["controller", "--prepare", "--folder", folder]);
    let refused = |folder: &str, expected: &str| {
        let output = prepare(folder);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(expected), "{output:?}");
    };
    let at = |name: &str| sandbox.0.path().join(name);
    assert_eq!(prepare("edge").code, Some(0));
    assert_eq!(prepare("edge").code, Some(0), "the folder exists");

    std::os::unix::fs::symlink("edge", at("link")).unwrap();
    refused("link", "link is not a folder, or is a symbolic link");
    fs::create_dir(at("shared")).unwrap();
    fs::set_permissions(at("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
    refused("shared", "shared is writable by every user");
    fs::set_permissions(at("edge/bootstrap.json"), fs::Permissions::from_mode(0o666)).unwrap();
    refused("edge", "bootstrap.json is writable by every user");
    fs::remove_file(at("edge/bootstrap.json")).unwrap();
    std::os::unix::fs::symlink(at("elsewhere"), at("edge/bootstrap.json")).unwrap();
    refused("edge", "bootstrap.json is not a regular file");
    assert!(!at("elsewhere").exists());
}

/// Envoy reads the address at its start only, and a prepared folder is kept.
#[test]
fn a_prepared_folder_has_the_collector_of_traces_in_the_settings() {
    let of = |collector: &str| format!("tracing: {{collector: '{collector}:4317'}}\n");
    let [one, other] = ["one.example", "other.example"].map(of);
    let sandbox = Sandbox::new(&[("one.yaml", &one), ("other.yaml", &other)]);
    let prepare = |folder: &str, flags: &[&str]| {
        sandbox.run(&[&["controller", "--prepare", "--folder", folder], flags].concat())
    };
    prepare("edge", &["--settings", "one.yaml"]).expect(0, "", "");
    prepare("edge", &["--settings", "one.yaml"]).expect(0, "", "");
    prepare("edge", &[]).expect(0, "", "");
    prepare("plain", &[]).expect(0, "", "");
    for (folder, settings, expected) in [
        ("edge", "other.yaml", "for another collector than that in the setting tracing"),
        ("plain", "one.yaml", "without the collector in the setting tracing"),
    ] {
        let output = prepare(folder, &["--settings", settings]);
        assert_eq!(output.code, Some(1), "{output:?}");
        for part in [folder, expected, "use a new folder"] {
            assert!(output.stderr.contains(part), "{part}: {output:?}");
        }
    }
}

/// Clients of the admin interface can control Envoy, and it has no password.
#[test]
fn the_admin_interface_is_on_the_loopback_only() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)]);
    let serve = ["serve", "-f", "ingress.yaml", "--envoy", "/bin/false"];
    let compile = ["compile", "-f", "ingress.yaml", "-o", "out"];
    for command in [&serve[..], &compile[..], &["demo", "--envoy", "/bin/false"]] {
        for address in ["0.0.0.0:9901", "[::]:9901", "192.0.2.1:9901"] {
            let output = sandbox.run(&[command, &["--admin", address]].concat());
            assert_eq!(output.code, Some(2), "{output:?}");
            for part in [address, "--admin", "can control Envoy", "use 127.0.0.1:9901"] {
                assert!(output.stderr.contains(part), "{part}: {output:?}");
            }
        }
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn the_controller_has_the_admin_interface_in_its_folder() {
    let sandbox = Sandbox::new(&[]);
    let prepare = |folder: &str, flags: &[&str]| {
        sandbox.run(&[&["controller", "--prepare", "--folder", folder], flags].concat())
    };
    for address in ["127.0.0.1:15000", "0.0.0.0:15000"] {
        let output = prepare("edge", &["--admin", address]);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(
            output.stderr.contains("omit --admin and use the socket admin.sock in the folder"),
            "{output:?}"
        );
    }
    prepare("edge", &[]).expect(0, "", "");
    let bootstrap = fs::read_to_string(sandbox.path("edge/bootstrap.json")).expect("UTF-8");
    assert!(bootstrap.contains("edge/admin.sock"), "{bootstrap}");
    // The longest path of a Unix socket, and one byte more.
    let base = sandbox.path("").as_os_str().len();
    let fits = "e".repeat(107 - base - "/admin.sock".len());
    prepare(&fits, &[]).expect(0, "", "");
    let output = prepare(&(fits + "e"), &[]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("admin.sock in it would have 108 bytes"), "{output:?}");
    assert!(output.stderr.contains("choose a folder with a shorter path"), "{output:?}");
}

#[test]
fn explain_mentions_what_is_not_read_where_nothing_is_served() {
    let other =
        INGRESS.replace("class: istio", "class: nginx").replace("name: shop", "name: other");
    let hosted = other.replace("  - http:", "  - host: a.example\n    http:");
    let route =
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x}\n";
    let sandbox = Sandbox::new(&[
        ("one.yaml", &format!("{hosted}---\n{SERVICE}")),
        ("two.yaml", &format!("{hosted}---\n{INGRESS}---\n{SERVICE}{route}")),
    ]);
    let explain = |file: &str, url: &str| sandbox.run(&["explain", "-f", file, url]).stdout;
    let class = "1 Ingress of class `nginx` is not served: the class of this gateway is `istio`";
    let kind = "1 object of kind `HTTPRoute` in `gateway.networking.k8s.io/v1` is not read";
    let text = explain("one.yaml", "a.example/cart");
    assert!(text.contains("answered with 404") && text.contains(class), "{text}");
    let text = explain("one.yaml", "b.example/cart");
    assert!(text.contains("answered with 404") && !text.contains(class), "{text}");
    let text = explain("two.yaml", "a.example/other");
    assert!(text.contains(class) && text.contains(kind), "{text}");
    let text = explain("two.yaml", "a.example/cart");
    assert!(!text.contains(class) && !text.contains(kind), "{text}");
}

#[test]
fn explain_says_where_no_handshake_would_succeed() {
    let tls = INGRESS.replace("spec:", "spec:\n  tls: [{hosts: [a.example], secretName: certs}]");
    let sandbox = Sandbox::new(&[("all.yaml", &format!("{tls}---\n{SERVICE}"))]);
    let explain = |arguments: &[&str]| {
        sandbox.run(&[&["explain", "-f", "all.yaml"], arguments].concat()).stdout
    };
    let no_client = "clients cannot connect over HTTPS, because the handshake fails: there is no certificate for \
                     `a.example` and no default certificate";
    assert!(explain(&["https://a.example/cart"]).contains(no_client));
    assert!(explain(&["https://a.example/cart", "-o", "json"]).contains(no_client));
    assert!(
        explain(&["https://192.0.2.1/cart"]).contains("fails: there is no default certificate")
    );
    assert!(!explain(&["http://a.example/cart"]).contains("no client"));
}

#[test]
fn to_test_nothing_is_a_failure() {
    let sandbox = Sandbox::new(&[
        ("all.yaml", &format!("{INGRESS}---\n{SERVICE}")),
        ("empty/notes.txt", ""),
        ("nothing.yaml", "kind: Kustomization\n"),
        (
            "cases.yaml",
            "tests: [{test_name: a, input: {authority: a, path: /, method: GET}, validate: {path_redirect: ''}}]",
        ),
    ]);
    let output = sandbox.run(&["test", "-f", "all.yaml", "empty"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("no tests"), "{output:?}");
    let output = sandbox.run(&["test", "-f", "nothing.yaml", "cases.yaml"]);
    assert!(output.stdout.contains("coverage: 0.0 % (0 of 0 routes, 0 of 0 rules)"), "{output:?}");
    let output = sandbox.run(&["test", "-f", "nothing.yaml", "--fail-under", "1", "cases.yaml"]);
    assert_eq!(output.code, Some(1), "{output:?}");
}

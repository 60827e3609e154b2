//! `docs/module-tests.md`: its files and commands, with what they print.

use std::process::Command;

use super::sandbox::{Output, Sandbox, ingressctl};

const PAGE: &str = include_str!("../../../docs/module-tests.md");

#[test]
fn the_page_is_followed_by_the_letter() {
    let sandbox = Sandbox::new(&[]);
    let mut last = None;
    let mut compared = 0;
    for block in PAGE.split("```").skip(1).step_by(2) {
        let (info, text) = block.split_once('\n').expect("a block");
        if let Some((_, file)) = info.split_once("file=") {
            sandbox.write(file, text);
        } else if info == "console" {
            for line in text.lines() {
                last = Some(shell(&sandbox, line.strip_prefix("$ ").expect("a command")));
            }
        } else if info == "text" {
            let output = last.take().expect("a command before");
            assert_eq!(output.stdout, text, "{}", output.stderr);
            compared += 1;
        }
    }
    assert_eq!(compared, 3);
}

fn shell(sandbox: &Sandbox, command: &str) -> Output {
    let binary = ingressctl().get_program().to_string_lossy().into_owned();
    let script = command.replacen("ingressctl", &binary, 1);
    let output = Output::of(
        Command::new("sh").args(["-c", &script]).current_dir(sandbox.path("")).env("NO_COLOR", "1"),
        "",
    );
    assert_eq!(output.stderr, "", "{command}");
    output
}

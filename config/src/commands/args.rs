//! Arguments that several commands share.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use serde_json::{Value, json};
use thiserror::Error;

use super::InvalidFile;
use crate::envoy::{Admin, Listening, LoopbackAddr, parse_listen_addr};
use crate::manifest::{self, Manifests, PathSpec};
use crate::objects::is_dns_label;
use crate::settings::Settings;

/// The manifests to read.
#[derive(Clone, Debug, Args)]
pub(crate) struct Input {
    /// Read manifests from a YAML or JSON file, a folder, or - for standard input;
    /// may be repeated
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

impl Input {
    /// The paths, with `-` as standard input.
    pub(crate) fn specs(&self) -> Vec<PathSpec> {
        self.paths.iter().cloned().map(PathSpec::from).collect()
    }

    /// Reads the manifests.
    pub(crate) fn read(&self) -> Manifests {
        read_files(&self.paths)
    }
}

/// Reads the manifests that these paths name.
pub(super) fn read_files(paths: &[PathBuf]) -> Manifests {
    let specs: Vec<_> = paths.iter().cloned().map(PathSpec::from).collect();
    manifest::read(&specs, &mut std::io::stdin().lock())
}

/// An invalid argument.
#[derive(Debug, Error)]
pub(super) enum ArgError {
    #[error("is not a valid namespace name; use lower-case letters, digits and -, 63 at most")]
    Namespace,
    #[error(
        "the controller has no address for Envoy's admin interface, because routes could reach it; \
         omit --admin and use the socket admin.sock in the folder"
    )]
    AdminOfController,
    #[error("is not a valid object name; write NAMESPACE/NAME")]
    ObjectName,
    #[error("is not an IP address or a host name; write it in lower case and without port")]
    Address,
    #[error("is not a percentage; write a number from 0 to 100")]
    Percentage,
}

/// Parses the name of a namespace.
pub(super) fn parse_namespace(text: &str) -> Result<String, ArgError> {
    if is_dns_label(text) { Ok(text.into()) } else { Err(ArgError::Namespace) }
}

/// The settings: from a file, each overridden by its flag.
#[derive(Clone, Debug)]
pub(crate) struct SettingsArgs {
    file: Option<PathBuf>,
    flags: ArgMatches,
}

impl SettingsArgs {
    /// The settings from the file, overridden by the flags.
    ///
    /// # Errors
    /// If the file cannot be read or is not a settings file, or settings contradict each
    /// other.
    pub(crate) fn resolve(&self) -> anyhow::Result<Settings> {
        let mut settings = match &self.file {
            None => Settings::default(),
            Some(path) => Settings::from_file(path).map_err(InvalidFile)?,
        };
        settings.update_from_arg_matches(&self.flags)?;
        settings.check()?;
        Ok(settings)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { file: matches.get_one("settings").cloned(), flags: matches.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("settings")
            .long("settings")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Read settings from a YAML file with the keys below in camelCase; flags override it")
            .help_heading("Settings");
        let defaults = json!(Settings::default());
        let declared = Settings::augment_args(Command::new("settings").arg(file));
        command.args(declared.get_arguments().map(|flag| with_default(flag.clone(), &defaults)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A flag whose help shows its default.
fn with_default(mut flag: Arg, defaults: &Value) -> Arg {
    let Some(default) = default_of(flag.get_id().as_str(), defaults) else { return flag };
    if let Some(help) = flag.get_help() {
        let help = format!("{help} [default: {default}]");
        flag = flag.help(help);
    }
    if let Some(help) = flag.get_long_help() {
        let help = format!("{help}\n\n[default: {default}]");
        flag = flag.long_help(help);
    }
    flag
}

/// The default of a flag, in the syntax of the flag.
fn default_of(flag: &str, settings: &Value) -> Option<String> {
    let key = |(index, word): (usize, &str)| match word.split_at_checked(1) {
        Some((first, rest)) if index > 0 => first.to_uppercase() + rest,
        _ => word.to_owned(),
    };
    let value = match flag.strip_prefix("gateway_") {
        Some(key) => settings.get("gateway")?.get(key)?,
        None => settings.get(flag.split('_').enumerate().map(key).collect::<String>())?,
    };
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(labels) => {
            let labels = labels.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
            let pairs: Vec<_> = labels.map(|(key, value)| format!("{key}={value}")).collect();
            Some(pairs.join(","))
        }
        value => Some(value.to_string()),
    }
}

/// The syntax of listen addresses.
pub(super) const ADDRESSES: &str = "\
ADDR is IP:PORT, [IPV6]:PORT or localhost:PORT. PORT and :PORT mean 127.0.0.1:PORT, which only this \
machine can reach. 0.0.0.0:PORT means all its IPv4 addresses, [::]:PORT all its IPv6 addresses. Port \
0 selects a free port.";

/// The listen addresses.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct ListenArgs {
    /// Listen for HTTP on this address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen_addr)]
    pub(crate) http: SocketAddr,

    /// Listen for HTTPS on this address, if there is any certificate
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = parse_listen_addr)]
    pub(crate) https: SocketAddr,

    /// Bind Envoy's admin interface, whose clients can control Envoy, to this
    /// loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) admin: LoopbackAddr,
}

impl From<ListenArgs> for Listening {
    fn from(ListenArgs { http, https, admin }: ListenArgs) -> Self {
        Self { http, https, admin: Admin::Loopback(admin), probe: None }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::AccessLog;

    fn flags(command_line: &[&str]) -> SettingsArgs {
        let command = SettingsArgs::augment_args(Command::new("check").no_binary_name(true));
        SettingsArgs::from_arg_matches(&command.get_matches_from(command_line)).unwrap()
    }

    #[test]
    fn a_flag_wins_over_the_file_and_that_over_the_default() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "{trustedHops: 2, gateway: {name: edge, namespace: web}}").unwrap();
        let file = file.path().to_str().unwrap();
        let settings =
            flags(&["--settings", file, "--gateway-name", "front", "--access-log=false"]);
        let settings = settings.resolve().unwrap();
        let mut expected =
            Settings { trusted_hops: 2, access_log: AccessLog::OFF, ..Settings::default() };
        expected.gateway.name = "front".into();
        expected.gateway.namespace = "web".into();
        assert_eq!(settings, expected);
    }

    #[test]
    fn each_flag_says_its_default() {
        let command = SettingsArgs::augment_args(Command::new("check"));
        for (flag, default) in [
            ("ingress_class", "istio"),
            ("ingress_controller_mode", "strict"),
            ("gateway_labels", "istio=ingress"),
            ("access_log", "true"),
            ("trusted_hops", "0"),
        ] {
            let help = command.get_arguments().find(|arg| *arg.get_id() == flag);
            let help = help.and_then(Arg::get_help).unwrap().to_string();
            assert!(help.ends_with(&format!(" [default: {default}]")), "{help}");
        }
        let without = command.get_arguments().filter(|arg| {
            !arg.get_help().is_some_and(|help| help.to_string().contains("[default: "))
        });
        let without: Vec<_> = without.map(|arg| arg.get_id().as_str()).collect();
        assert_eq!(
            without,
            [
                "settings",
                "http_port",
                "https_port",
                "default_timeout",
                "request_timeout",
                "envoy_memory"
            ]
        );
    }
}

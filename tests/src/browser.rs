//! A real headless Chromium, driven by chromedriver over `WebDriver`
//! (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::raw;
use crate::made::{made_by, needed};
use crate::process::{Process, bound};
use crate::tools::one_of;

/// The time limit of any wait on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Flags for a browser that starts without questions and connects to nothing by itself.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A browser window; closed when dropped. There is one at a time.
pub struct Browser {
    session: String,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// A key of a keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Also submits a form.
    Enter,
    /// To the next element.
    Tab,
    /// To the row below.
    Down,
    /// To the row above.
    Up,
    /// Closes a row, or goes to the one that has it.
    Left,
    /// Opens a row.
    Right,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// A character.
    Character(char),
}

impl Key {
    fn code(self) -> char {
        match self {
            Self::Enter => '\u{e007}',
            Self::Tab => '\u{e004}',
            Self::Down => '\u{e015}',
            Self::Up => '\u{e013}',
            Self::Left => '\u{e012}',
            Self::Right => '\u{e014}',
            Self::Home => '\u{e011}',
            Self::End => '\u{e010}',
            Self::Character(character) => character,
        }
    }
}

impl Browser {
    /// Opens a window of this size.
    ///
    /// # Panics
    /// If there is no Chromium, and it cannot be downloaded.
    pub fn open(width: u32, height: u32) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        let arguments: Vec<_> = FLAGS.into_iter().chain([&*profile_flag]).collect();
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": program("chromium"), "args": arguments},
        }}});
        let opened = command("POST", "/session", Some(&capabilities));
        let id = opened["sessionId"].as_str().expect("a session").to_owned();
        let browser = Self { session: format!("/session/{id}"), _profile: profile, _turn: turn };
        browser.resize(width, height);
        browser
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        command("POST", &format!("{}{path}", self.session), Some(body))
    }

    /// Changes the size of the page.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Sets a preference of the user, such as `prefers-color-scheme`.
    pub fn prefer(&self, feature: &str, value: &str) {
        let features = json!({"features": [{"name": feature, "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Goes to a URL.
    pub fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// The result of a script, the body of a function.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The text of all elements that a selector finds, as it is rendered.
    ///
    /// # Panics
    /// Never: the script returns texts.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let texts = self.run(&format!(
            "return [...document.querySelectorAll({selector:?})].map((it) => it.innerText.replace(/\\s+/g, ' ').trim())"
        ));
        serde_json::from_value(texts).expect("texts")
    }

    /// The text of the first such element.
    ///
    /// # Panics
    /// If there is none.
    pub fn text(&self, selector: &str) -> String {
        let mut texts = self.texts(selector).into_iter();
        texts.next().unwrap_or_else(|| panic!("there is no {selector}"))
    }

    /// Waits until an expression is true, and returns its value.
    ///
    /// # Panics
    /// If it does not become true within the time limit.
    pub fn wait(&self, expression: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.run(&format!("return {expression}"));
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            if start.elapsed() > TIMEOUT {
                let page = self.run("return document.body.innerText");
                panic!("never true: {expression}; the page: {page}; its log: {:?}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks the first element that a selector finds, where a mouse would.
    pub fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.element(selector));
        self.post(&path, &json!({}));
    }

    /// Replaces the text of a field.
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        // The name of the field is fixed by the standard.
        let id = found["element-6066-11e4-a52e-4f735466cecf"].as_str();
        id.unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: &[Key]) {
        let actions = keys.iter().flat_map(|key| {
            let value = key.code().to_string();
            [json!({"type": "keyDown", "value": value}), json!({"type": "keyUp", "value": value})]
        });
        let keyboard =
            json!({"type": "key", "id": "keyboard", "actions": actions.collect::<Vec<_>>()});
        self.post("/actions", &json!({"actions": [keyboard]}));
    }

    /// Presses the keys of a text.
    pub fn write(&self, text: &str) {
        self.press(&text.chars().map(Key::Character).collect::<Vec<_>>());
    }

    /// The result of a command of Chromium's own protocol.
    pub fn devtools(&self, name: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// The page as PNG.
    ///
    /// # Panics
    /// If there is none.
    pub fn screenshot(&self) -> Vec<u8> {
        let image = command("GET", &format!("{}/screenshot", self.session), None);
        STANDARD.decode(image.as_str().expect("an image")).expect("base64")
    }

    /// The messages in the console since the last call.
    ///
    /// # Panics
    /// If there is no console.
    pub fn log(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().expect("a list").iter();
        entries.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failure, a second panic would hide it.
        let _ = try_command("DELETE", &self.session, None);
    }
}

/// Chromium or chromedriver: those on the PATH, otherwise those of Debian.
fn program(name: &str) -> PathBuf {
    static FETCHED: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/debian/browser.sh"));
    one_of(["chromium", "chromedriver"], name).unwrap_or_else(|| {
        needed("Chromium and chromedriver, which are not on the PATH", &FETCHED).join(name)
    })
}

/// The address of chromedriver, which all tests of a binary share.
fn driver() -> SocketAddr {
    static DRIVER: LazyLock<(SocketAddr, Process)> = LazyLock::new(|| {
        let mut command = bound(program("chromedriver"));
        command.args(["--port=0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::spawn_bound(command);
        let lines = BufReader::new(process.output()).lines().map_while(Result::ok);
        // `ChromeDriver was started successfully on port 4711.`
        let mut ports = lines.filter_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = ports.next().expect("chromedriver prints its port");
        (([127, 0, 0, 1], port).into(), process)
    });
    DRIVER.0
}

fn command(method: &str, path: &str, body: Option<&Value>) -> Value {
    try_command(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

fn try_command(method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        driver(),
        body.len()
    );
    let answer = raw(driver(), request.as_bytes());
    let mut value: Value =
        serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {answer:?}"))?;
    match answer.status {
        200 => Ok(value["value"].take()),
        _ => Err(value["value"]["message"].to_string()),
    }
}

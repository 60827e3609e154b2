use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, sleep};

use tempfile::TempDir;

use super::*;

/// The timeout for expected events, on a busy machine.
const SURELY: Duration = Duration::from_secs(30);

/// Replaces [`WRITE_TIMEOUT`] in tests that wait for it to pass.
const SHORT: Duration = Duration::from_millis(1500);

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n---\n")
}

fn objects(names: &[&str]) -> String {
    names.iter().map(|name| object(name)).collect()
}

/// Replaces a file atomically, by renaming.
fn replace(file: &Path, names: &[&str]) {
    let new = file.with_extension("tmp");
    fs::write(&new, objects(names)).unwrap();
    fs::rename(&new, file).unwrap();
}

/// A temporary folder with the file `d/a.yaml`, which contains `one`.
fn folder() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), object("one")).unwrap();
    (root, folder)
}

/// A running watcher, and the names of the objects that it has read; "?" means an
/// unreadable file.
struct Watching {
    readings: Receiver<String>,
    seen: Vec<String>,
}

impl Watching {
    fn start(path: &Path) -> Self {
        Self::with_timeout(path, WRITE_TIMEOUT)
    }

    /// Returns once everything has been read for the first time.
    fn with_timeout(path: &Path, write_timeout: Duration) -> Self {
        let (sender, readings) = channel();
        let specs = [PathSpec::from(path.to_owned())];
        thread::spawn(move || {
            let mut watcher = Watcher::with_timeout(&specs, Vec::new(), write_timeout).unwrap();
            let mut manifests = watcher.read();
            while sender.send(names(&manifests.unwrap())).is_ok() {
                manifests = watcher.changed();
            }
        });
        let first = readings.recv_timeout(SURELY).unwrap();
        Self { readings, seen: vec![first] }
    }

    fn wait_for(&mut self, expected: &str) {
        let deadline = Instant::now() + SURELY;
        while self.seen.last().is_none_or(|last| last != expected) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.readings.recv_timeout(left) {
                Ok(reading) => self.seen.push(reading),
                Err(error) => panic!("{expected} is not read ({error}): {:?}", self.seen),
            }
        }
    }

    /// Checks that nothing is read for this time.
    fn expect_nothing(&mut self, time: Duration) {
        let reading = self.readings.recv_timeout(time);
        assert_eq!(reading, Err(RecvTimeoutError::Timeout), "after {:?}", self.seen);
    }

    /// Checks that all readings are among these.
    fn expect_only(&self, expected: &[&str]) {
        assert!(self.seen.iter().all(|reading| expected.contains(&&**reading)), "{:?}", self.seen);
    }
}

fn names(manifests: &Manifests) -> String {
    let mut names: Vec<_> = manifests.objects.iter().map(|object| &*object.name).collect();
    names.extend((!manifests.is_complete()).then_some("?"));
    names.join(" ")
}

#[test]
fn sees_files_come_change_and_go() {
    let (_root, folder) = folder();
    let mut watching = Watching::start(&folder);
    watching.wait_for("one");
    fs::write(folder.join("b.yaml"), object("two")).unwrap();
    watching.wait_for("one two");
    replace(&folder.join("a.yaml"), &["three"]);
    watching.wait_for("three two");
    fs::remove_file(folder.join("b.yaml")).unwrap();
    watching.wait_for("three");
}

#[test]
fn ignores_other_files() {
    let (root, folder) = folder();
    let mut watching = Watching::start(&folder.join("a.yaml"));
    fs::write(folder.join("b.yaml"), object("two")).unwrap();
    fs::write(root.path().join("c.yaml"), object("three")).unwrap();
    watching.expect_nothing(Duration::from_millis(300));
}

#[test]
fn a_folder_that_is_made_anew_is_watched() {
    let (root, folder) = folder();
    let mut watching = Watching::start(&folder);
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), object("two")).unwrap();
    watching.wait_for("two");
    // Again, with a pause in which the file is missing.
    fs::remove_file(folder.join("a.yaml")).unwrap();
    fs::remove_dir(&folder).unwrap();
    watching.wait_for("?");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), object("three")).unwrap();
    watching.wait_for("three");
    replace(&folder.join("a.yaml"), &["four"]);
    watching.wait_for("four");
    // And with the folder replaced.
    let new = root.path().join("new");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("a.yaml"), object("five")).unwrap();
    fs::rename(&folder, root.path().join("old")).unwrap();
    fs::rename(&new, &folder).unwrap();
    watching.wait_for("five");
    fs::write(folder.join("b.yaml"), object("six")).unwrap();
    watching.wait_for("five six");
}

#[test]
fn a_file_is_found_again_after_the_folders_above_it_are_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("p/q");
    let file = folder.join("a.yaml");
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, object("one")).unwrap();
    let mut watching = Watching::start(&file);
    for gone in ["p/q", "p"] {
        fs::remove_dir_all(root.path().join(gone)).unwrap();
        watching.wait_for("?");
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, object("two")).unwrap();
        watching.wait_for("two");
        replace(&file, &["three"]);
        watching.wait_for("three");
    }
}

#[test]
fn a_half_written_file_is_not_read_in_a_folder_made_anew() {
    let (_root, folder) = folder();
    let mut watching = Watching::start(&folder);
    fs::remove_dir_all(&folder).unwrap();
    watching.wait_for("?");
    fs::create_dir(&folder).unwrap();
    let mut file = File::create(folder.join("a.yaml")).unwrap();
    file.write_all(object("two").as_bytes()).unwrap();
    watching.expect_nothing(Duration::from_secs(1));
    file.write_all(object("three").as_bytes()).unwrap();
    drop(file);
    watching.wait_for("two three");
    watching.expect_only(&["one", "?", "two three"]);
}

#[test]
fn half_a_file_is_never_read() {
    let (_root, folder) = folder();
    let mut watching = Watching::start(&folder);
    let mut file = File::create(folder.join("a.yaml")).unwrap();
    file.write_all(object("two").as_bytes()).unwrap();
    // Another change is not a reason to read this one.
    replace(&folder.join("b.yaml"), &["other"]);
    watching.expect_nothing(Duration::from_secs(3));
    file.write_all(object("three").as_bytes()).unwrap();
    drop(file);
    watching.wait_for("two three other");
    watching.expect_only(&["one", "two three other"]);
}

#[test]
fn half_a_file_is_never_read_while_others_are_replaced() {
    let (_root, folder) = folder();
    let (small, large) = (object("small"), object("large").repeat(2_000));
    fs::write(folder.join("a.yaml"), &small).unwrap();
    let mut watching = Watching::start(&folder);
    for round in 0..20 {
        let text = if round % 2 == 0 { &large } else { &small };
        let mut file = File::create(folder.join("a.yaml")).unwrap();
        for piece in text.as_bytes().chunks(8 << 10) {
            file.write_all(piece).unwrap();
            replace(&folder.join("b.yaml"), &["other"]);
            sleep(Duration::from_millis(5));
        }
        drop(file);
        sleep(Duration::from_millis(20));
    }
    watching.wait_for("small other");
    let large = "large ".repeat(2_000);
    watching.expect_only(&["small", "small other", large.trim_end(), &(large.clone() + "other")]);
}

#[test]
fn a_file_held_open_does_not_block_for_ever() {
    let (_root, folder) = folder();
    let mut watching = Watching::with_timeout(&folder, SHORT);
    let mut file = OpenOptions::new().append(true).open(folder.join("a.yaml")).unwrap();
    file.write_all(object("two").as_bytes()).unwrap();
    watching.expect_nothing(SHORT / 2);
    watching.wait_for("one two");
    replace(&folder.join("b.yaml"), &["three"]);
    watching.wait_for("one two three");
    drop(file);
}

#[test]
fn a_truncated_file_that_is_never_closed_does_not_block_for_ever() {
    let (_root, folder) = folder();
    let file = folder.join("a.yaml");
    fs::write(&file, objects(&["one", "two"])).unwrap();
    let opened_before = OpenOptions::new().write(true).open(&file).unwrap();
    let mut watching = Watching::with_timeout(&folder, SHORT);
    opened_before.set_len(object("one").len().try_into().unwrap()).unwrap();
    watching.wait_for("one");
    watching.expect_only(&["one two", "one"]);
    drop(opened_before);
}

#[test]
fn a_removed_file_that_is_still_written_does_not_matter() {
    let (_root, folder) = folder();
    let mut watching = Watching::start(&folder);
    let mut file = File::create(folder.join("b.yaml")).unwrap();
    file.write_all(object("log").as_bytes()).unwrap();
    fs::remove_file(folder.join("b.yaml")).unwrap();
    file.write_all(object("log").as_bytes()).unwrap();
    let start = Instant::now();
    replace(&folder.join("a.yaml"), &["two"]);
    watching.wait_for("two");
    assert!(start.elapsed() < WRITE_TIMEOUT / 2, "{:?}", start.elapsed());
}

#[test]
fn a_steady_stream_of_changes_does_not_starve_others() {
    let (_root, folder) = folder();
    // Reading this takes longer than the pauses of the stream.
    fs::write(folder.join("z.yaml"), object("many").repeat(3_000)).unwrap();
    let mut watching = Watching::start(&folder);
    let (stop, stopped) = channel::<()>();
    let stream = folder.join("b.yaml");
    let streaming = thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(30)) == Err(RecvTimeoutError::Timeout) {
            replace(&stream, &["stream"]);
        }
    });
    sleep(Duration::from_millis(200));
    let start = Instant::now();
    replace(&folder.join("a.yaml"), &["two"]);
    let expected = format!("two stream{}", " many".repeat(3_000));
    watching.wait_for(&expected);
    let took = start.elapsed();
    drop(stop);
    streaming.join().unwrap();
    // Some 0.6 s, and the time of reading, twice.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn the_target_of_a_link_is_watched() {
    for is_file in [false, true] {
        let (root, folder) = folder();
        let real = root.path().join("real");
        fs::create_dir(&real).unwrap();
        fs::write(real.join("a.yaml"), object("linked")).unwrap();
        let file = folder.join("a.yaml");
        fs::remove_file(&file).unwrap();
        symlink("../real/a.yaml", &file).unwrap();
        let mut watching = Watching::start(if is_file { &file } else { &folder });
        watching.wait_for("linked");
        fs::write(real.join("a.yaml"), object("two")).unwrap();
        watching.wait_for("two");
        replace(&real.join("a.yaml"), &["three"]);
        watching.wait_for("three");
        // A link that is created later is followed, too.
        fs::remove_file(&file).unwrap();
        fs::write(real.join("other"), object("four")).unwrap();
        symlink("../real/other", &file).unwrap();
        watching.wait_for("four");
        fs::write(real.join("other"), object("five")).unwrap();
        watching.wait_for("five");
    }
}

#[test]
fn a_link_that_is_swapped_is_followed() {
    // Like git-sync: for the link itself, a folder below it, and a file.
    for path in ["cur", "cur/sub", "cur/sub/a.yaml"] {
        let root = tempfile::tempdir().unwrap();
        let below = if path == "cur" { "" } else { "sub" };
        for (version, name) in [("r1", "one"), ("r2", "two")] {
            let folder = root.path().join(version).join(below);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("a.yaml"), object(name)).unwrap();
        }
        symlink("r1", root.path().join("cur")).unwrap();
        let mut watching = Watching::start(&root.path().join(path));
        watching.wait_for("one");
        symlink("r2", root.path().join("new")).unwrap();
        fs::rename(root.path().join("new"), root.path().join("cur")).unwrap();
        watching.wait_for("two");
        fs::remove_dir_all(root.path().join("r1")).unwrap();
        replace(&root.path().join("r2").join(below).join("a.yaml"), &["three"]);
        watching.wait_for("three");
        watching.expect_only(&["one", "two", "three"]);
    }
}

#[test]
fn a_config_map_is_updated_as_one() {
    let root = tempfile::tempdir().unwrap();
    let update = |version: &str, name: &str| {
        fs::create_dir(root.path().join(version)).unwrap();
        for file in ["a.yaml", "b.yaml"] {
            fs::write(root.path().join(version).join(file), object(name)).unwrap();
        }
        symlink(version, root.path().join("..data_tmp")).unwrap();
        fs::rename(root.path().join("..data_tmp"), root.path().join("..data")).unwrap();
    };
    update("..1", "one");
    for file in ["a.yaml", "b.yaml"] {
        symlink(Path::new("..data").join(file), root.path().join(file)).unwrap();
    }
    let mut watching = Watching::start(root.path());
    watching.wait_for("one one");
    update("..2", "two");
    fs::remove_dir_all(root.path().join("..1")).unwrap();
    watching.wait_for("two two");
    update("..3", "three");
    watching.wait_for("three three");
    watching.expect_only(&["one one", "two two", "three three"]);
}

#[test]
fn an_emptied_file_is_given_time_to_be_written() {
    let (_root, folder) = folder();
    let file = folder.join("a.yaml");
    let mut watching = Watching::with_timeout(&folder, SHORT);
    fs::write(&file, "").unwrap();
    watching.expect_nothing(SHORT / 2);
    fs::write(&file, object("two")).unwrap();
    watching.wait_for("two");
    // A file that stays empty is empty on purpose.
    fs::write(&file, "\n\n").unwrap();
    watching.expect_nothing(SHORT / 2);
    watching.wait_for("");
    watching.expect_only(&["one", "two", ""]);
}

#[test]
fn a_file_that_never_held_anything_is_not_waited_for() {
    let (_root, folder) = folder();
    let mut watching = Watching::start(&folder);
    let start = Instant::now();
    fs::write(folder.join("b.yaml"), "").unwrap();
    replace(&folder.join("a.yaml"), &["two"]);
    watching.wait_for("two");
    assert!(start.elapsed() < WRITE_TIMEOUT / 2, "{:?}", start.elapsed());
}

#[test]
fn a_file_that_is_removed_and_made_anew_never_lacks() {
    let (_root, folder) = folder();
    let file = folder.join("a.yaml");
    let mut watching = Watching::start(&folder);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        fs::remove_file(&file).unwrap();
        fs::write(&file, object("two")).unwrap();
        longest = longest.max(start.elapsed());
        sleep(Duration::from_millis(20));
    }
    fs::write(&file, object("three")).unwrap();
    watching.wait_for("three");
    // On a busy machine, the file may have been missing for a while.
    if longest < QUIET / 2 {
        watching.expect_only(&["one", "two", "three"]);
    }
}

#[test]
fn two_hundred_changes_end_in_the_last() {
    let (_root, folder) = folder();
    let mut watching = Watching::start(&folder);
    for index in 0..200 {
        replace(&folder.join("a.yaml"), &[&format!("state-{index}")]);
    }
    let start = Instant::now();
    watching.wait_for("state-199");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_link_to_itself_is_not_followed_for_ever() {
    let (_root, folder) = folder();
    symlink("b.yaml", folder.join("b.yaml")).unwrap();
    let mut watching = Watching::start(&folder);
    watching.wait_for("one ?");
    fs::remove_file(folder.join("b.yaml")).unwrap();
    watching.wait_for("one");
}

#[test]
fn what_is_written_during_a_reading_is_read_again() {
    let (root, folder) = folder();
    // A pipe that blocks the reading, under a name that is not watched.
    let (gate, handle) = (root.path().join("gate"), root.path().join("handle"));
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    fs::hard_link(&gate, &handle).unwrap();
    let file = folder.join("a.yaml");
    let specs = [gate, file.clone()].map(PathSpec::from);
    let (sender, readings) = channel();
    thread::spawn(move || {
        let manifests = Watcher::new(&specs).unwrap().read().unwrap();
        sender.send(names(&manifests)).unwrap();
    });

    let reading = OpenOptions::new().write(true).open(&handle).unwrap();
    let mut file = File::create(file).unwrap();
    file.write_all(object("two").as_bytes()).unwrap();
    drop(reading);
    let half = readings.recv_timeout(Duration::from_millis(500));
    assert_eq!(half, Err(RecvTimeoutError::Timeout));
    file.write_all(object("three").as_bytes()).unwrap();
    drop(file);
    thread::spawn(move || {
        // From now on, readings are not blocked.
        while OpenOptions::new().write(true).open(&handle).is_ok() {
            sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(readings.recv_timeout(SURELY).unwrap(), "two three");
}

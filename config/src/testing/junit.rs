//! A report in JUnit's XML, for continuous integration.

use std::fmt::Write as _;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::result::{Context, TestResult};

/// The results in JUnit's XML, with a test suite for each file.
///
/// # Errors
/// None: writing to memory does not fail.
pub(crate) fn junit<C: Context>(name: &str, tests: &[TestResult<C>]) -> std::io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer
        .create_element("testsuites")
        .with_attribute(("name", name))
        .with_attributes(counts(tests).iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|writer| {
            suites(tests).into_iter().try_for_each(|suite| write_suite(writer, suite))
        })?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned() + "\n")
}

/// The tests of each file.
fn suites<C>(tests: &[TestResult<C>]) -> Vec<&[TestResult<C>]> {
    tests.chunk_by(|a, b| a.at.file == b.at.file).collect()
}

fn counts<C>(tests: &[TestResult<C>]) -> [(&'static str, String); 3] {
    let failures = tests.iter().filter(|test| !test.passed).count();
    let seconds: f64 = tests.iter().map(|test| test.seconds).sum();
    [
        ("tests", tests.len().to_string()),
        ("failures", failures.to_string()),
        ("time", format!("{seconds:.3}")),
    ]
}

fn write_suite<C: Context>(
    writer: &mut Writer<Vec<u8>>,
    tests: &[TestResult<C>],
) -> std::io::Result<()> {
    let name = tests.first().map(|test| clean(&test.at.file)).unwrap_or_default();
    writer
        .create_element("testsuite")
        .with_attribute(("name", &*name))
        .with_attributes(counts(tests).iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|writer| {
            tests.iter().try_for_each(|test| write_test(writer, test, &name))
        })?;
    Ok(())
}

fn write_test<C: Context>(
    writer: &mut Writer<Vec<u8>>,
    test: &TestResult<C>,
    file: &str,
) -> std::io::Result<()> {
    let element = writer
        .create_element("testcase")
        .with_attribute(("name", &*clean(&test.name)))
        .with_attribute(("classname", file))
        .with_attribute(("file", file))
        .with_attribute(("line", &*test.at.line.to_string()))
        .with_attribute(("time", &*format!("{:.3}", test.seconds)));
    if test.passed {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|writer| {
        writer
            .create_element("failure")
            .with_attribute(("message", &*clean(&message(test))))
            .with_attribute(("type", "expectation"))
            .write_text_content(BytesText::new(&clean(&details(test))))?;
        Ok(())
    })?;
    Ok(())
}

/// The first difference, and the number of others.
fn message<C>(test: &TestResult<C>) -> String {
    let Some(first) = test.failures.first() else { return String::new() };
    let mut message = format!("{}: expected {}, got {}", first.field, first.expected, first.got);
    if test.failures.len() > 1 {
        let _ = write!(message, "; and {} more", test.failures.len() - 1);
    }
    message
}

fn details<C: Context>(test: &TestResult<C>) -> String {
    let mut details = String::new();
    for failure in &test.failures {
        let _ = writeln!(details, "{}: {}", failure.at, failure.field);
        let _ = writeln!(details, "  - expected: {}", failure.expected);
        let _ = writeln!(details, "  + got:      {}", failure.got);
    }
    details + &test.context.lines().join("\n")
}

/// The text without characters that XML 1.0 cannot represent.
fn clean(text: &str) -> String {
    let is_bad = |character: char| {
        (character.is_control() && !matches!(character, '\t' | '\n'))
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|character| if is_bad(character) { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;

    use super::super::result::Failure;
    use super::*;
    use crate::finding::Location;

    struct Because;

    impl Context for Because {
        fn lines(&self) -> Vec<String> {
            vec!["because: of it".into()]
        }
    }

    fn test(name: &str, file: &str, failure: Option<&str>) -> TestResult<Because> {
        let at = Location { file: file.into(), line: 3, column: 5 };
        let failures: Vec<_> = failure
            .map(|text| Failure {
                at: at.clone(),
                field: "validate.cluster_name".into(),
                expected: text.into(),
                got: "(none)".into(),
            })
            .into_iter()
            .collect();
        let passed = failures.is_empty();
        TestResult { name: name.into(), at, passed, failures, context: Because, seconds: 0.5 }
    }

    /// All elements with their attributes, and all texts.
    fn parsed(xml: &str) -> Vec<String> {
        let mut reader = Reader::from_str(xml);
        let mut seen = Vec::new();
        loop {
            match reader.read_event().expect("valid XML") {
                Event::Eof => return seen,
                Event::Start(element) | Event::Empty(element) => {
                    let attributes = element.attributes().map(|attribute| {
                        let attribute = attribute.expect("an attribute");
                        let value = attribute
                            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                            .expect("a value")
                            .into_owned();
                        let key = attribute.key.as_ref();
                        format!(" {key}={value}")
                    });
                    let name = element.name().as_ref().to_owned();
                    seen.push(name + &attributes.collect::<String>());
                }
                Event::Text(_) | Event::GeneralRef(_) | Event::End(_) | Event::Decl(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    #[test]
    fn it_is_valid_whatever_names_hold() {
        let hostile = "<a href=\"x\">&amp; ' ]]> \u{1}\u{1b}[31m \u{fffe}\u{e9}";
        let tests = vec![test(hostile, "a.yaml", Some(hostile)), test("fine", "b.yaml", None)];
        let xml = junit("ingressctl test", &tests).unwrap();
        assert!(xml.contains("because: of it</failure>"), "{xml}");
        assert!(!xml.contains('\u{1b}') && !xml.contains('\u{1}'), "{xml}");
        let clean = "<a href=\"x\">&amp; ' ]]> \u{fffd}\u{fffd}[31m \u{fffd}\u{e9}";
        assert_eq!(
            parsed(&xml),
            [
                "testsuites name=ingressctl test tests=2 failures=1 time=1.000".to_owned(),
                "testsuite name=a.yaml tests=1 failures=1 time=0.500".into(),
                format!("testcase name={clean} classname=a.yaml file=a.yaml line=3 time=0.500"),
                format!(
                    "failure message=validate.cluster_name: expected {clean}, got (none) \
                     type=expectation"
                ),
                "testsuite name=b.yaml tests=1 failures=0 time=0.500".into(),
                "testcase name=fine classname=b.yaml file=b.yaml line=3 time=0.500".into(),
            ]
        );
    }
}

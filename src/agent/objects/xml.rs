//! What S3 answers: lists of versions, and locks.

use quick_xml::{Reader, events::Event};

use super::{ObjectError, Version};

/// A page of versions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) versions: Vec<Version>,
    /// Where the next page begins: the key and the version.
    pub(super) next: Option<(String, String)>,
}

/// Reads a page of versions and delete markers.
pub(super) fn page(text: &str) -> Result<Page, ObjectError> {
    let mut page = Page::default();
    let (mut key, mut version) = (String::new(), String::new());
    let (mut is_cut, mut next) = (false, (String::new(), String::new()));
    let mut inside = false;
    leaves(text, |name, value| match (name, value) {
        ("Version" | "DeleteMarker", Leaf::Begins) => {
            inside = true;
            key.clear();
            version.clear();
        }
        ("Version" | "DeleteMarker", Leaf::Ends) => {
            inside = false;
            page.versions.push(Version {
                key: std::mem::take(&mut key),
                version: Some(std::mem::take(&mut version)).filter(|version| !version.is_empty()),
            });
        }
        ("Key", Leaf::Text(text)) if inside => key.push_str(text),
        ("VersionId", Leaf::Text(text)) if inside => version.push_str(text),
        ("IsTruncated", Leaf::Text(text)) => is_cut = text == "true",
        ("NextKeyMarker", Leaf::Text(text)) => next.0.push_str(text),
        ("NextVersionIdMarker", Leaf::Text(text)) => next.1.push_str(text),
        _ => {}
    })?;
    if is_cut && next.0.is_empty() {
        return Err(ObjectError::failed("the list of versions breaks off"));
    }
    page.next = is_cut.then_some(next);
    Ok(page)
}

/// The text of the first element of this name.
pub(super) fn text_of(text: &str, wanted: &str) -> Result<Option<String>, ObjectError> {
    let mut found: Option<String> = None;
    leaves(text, |name, value| {
        if let (true, Leaf::Text(text)) = (name == wanted, value) {
            found.get_or_insert_default().push_str(text);
        }
    })?;
    Ok(found)
}

enum Leaf<'a> {
    Begins,
    Text(&'a str),
    Ends,
}

fn leaves(text: &str, mut see: impl FnMut(&str, Leaf<'_>)) -> Result<(), ObjectError> {
    let broken = || ObjectError::failed("S3 answered something that is no XML");
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|_| broken())? {
            Event::Start(start) => {
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                see(&name, Leaf::Begins);
                path.push(name);
            }
            Event::End(_) => {
                let name = path.pop().ok_or_else(broken)?;
                see(&name, Leaf::Ends);
            }
            Event::Text(text) => {
                let text = text.decode().map_err(|_| broken())?;
                if let Some(name) = path.last() {
                    see(name, Leaf::Text(&text));
                }
            }
            Event::GeneralRef(entity) => {
                let text = match entity.resolve_char_ref().map_err(|_| broken())? {
                    Some(letter) => letter.to_string(),
                    None => match entity.decode().map_err(|_| broken())?.as_ref() {
                        "amp" => "&".to_owned(),
                        "lt" => "<".to_owned(),
                        "gt" => ">".to_owned(),
                        "quot" => "\"".to_owned(),
                        "apos" => "'".to_owned(),
                        _ => return Err(broken()),
                    },
                };
                if let Some(name) = path.last() {
                    see(name, Leaf::Text(&text));
                }
            }
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err(broken()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_delete_markers_are_read() {
        let text = "<?xml version=\"1.0\"?><ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>true</IsTruncated>\
            <NextKeyMarker>u/1/b</NextKeyMarker><NextVersionIdMarker>v3</NextVersionIdMarker>\
            <Version><Key>u/1/a&amp;&#x62;</Key><VersionId>v1</VersionId><Owner><ID>x</ID></Owner></Version>\
            <DeleteMarker><Key>u/1/b</Key><VersionId>null</VersionId></DeleteMarker></ListVersionsResult>";
        let page = page(text).unwrap();
        let version = |key: &str, version: &str| Version {
            key: key.to_owned(),
            version: Some(version.to_owned()),
        };
        assert_eq!(
            page.versions,
            [version("u/1/a&b", "v1"), version("u/1/b", "null")]
        );
        assert_eq!(page.next, Some(("u/1/b".to_owned(), "v3".to_owned())));
    }

    #[test]
    fn what_breaks_off_is_no_empty_list() {
        assert!(page("<ListVersionsResult><Version>").is_err());
        assert!(page("<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>").is_err());
        assert_eq!(
            page("<ListVersionsResult></ListVersionsResult>").unwrap(),
            Page::default()
        );
    }
}

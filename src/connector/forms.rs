//! The form in which a vendor takes an identifier.

use md5::Md5;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::{
    identity::{Identity, SubjectData},
    ids::IdentityType,
};

/// One change that is made to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Trimmed and in lower case.
    Lowercase,
    /// A phone number in E.164; what is none cannot be sent.
    E164,
    /// MD5 in hexadecimal digits.
    Md5,
    /// SHA-256 in hexadecimal digits, after the salt where there is one.
    Sha256,
}

/// The value is not what the form needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a phone number without a country code cannot be sent in E.164")]
pub struct NoSuchForm;

/// A value in the form that the vendor takes.
pub fn in_form(value: &str, forms: &[Form], salt: Option<&str>) -> Result<SubjectData, NoSuchForm> {
    let mut value = SubjectData::new(value);
    for form in forms {
        value = SubjectData::new(match form {
            Form::Lowercase => value.expose().trim().to_lowercase(),
            Form::E164 => e164(&value)?,
            Form::Md5 => hex::encode(Md5::digest(value.expose().as_bytes())),
            Form::Sha256 => {
                let mut hash = Sha256::new();
                hash.update(salt.unwrap_or_default().as_bytes());
                hash.update(value.expose().as_bytes());
                hex::encode(hash.finalize())
            }
        });
    }
    Ok(value)
}

fn e164(value: &SubjectData) -> Result<String, NoSuchForm> {
    let identity = Identity {
        kind: IdentityType::new("phone").expect("a valid name"),
        value: value.clone(),
    };
    let normal = identity.normalised();
    // An extension is no part of E.164.
    let number = normal.expose().split(';').next().unwrap_or_default();
    let is_e164 = number
        .strip_prefix('+')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    if is_e164 {
        Ok(number.to_owned())
    } else {
        Err(NoSuchForm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(value: &str, forms: &[Form], salt: Option<&str>) -> String {
        in_form(value, forms, salt).unwrap().expose().to_owned()
    }

    #[test]
    fn values_are_given_the_form_that_a_vendor_takes() {
        let ann = " Ann@Example.ORG ";
        assert_eq!(form(ann, &[Form::Lowercase], None), "ann@example.org");
        // The digest of Mailchimp's documentation.
        assert_eq!(
            form(
                "Urist.McVankab@freddiesjokes.com",
                &[Form::Lowercase, Form::Md5],
                None
            ),
            "62eeb292278cc15f5817cb78f7790b08"
        );
        assert_eq!(
            form("abc", &[Form::Sha256], None),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            form("c", &[Form::Sha256], Some("ab")),
            form("abc", &[Form::Sha256], None)
        );
        assert_eq!(form("0049 (30) 90 18-20", &[Form::E164], None), "+4930901820");
        assert!(in_form("030 901820", &[Form::E164], None).is_err());
    }
}

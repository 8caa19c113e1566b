//! What has to survive between steps, retries and generations: the ids that a vendor has given a person, and the job that it has
//! taken on. Whoever stores it seals it with the request's own key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{identity::SubjectData, time::At};

/// What is kept of a person's task at a vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The generation that the job and the count belong to.
    pub generation: u32,
    /// The vendor's ids of the person, by the name that the connector gives them. Later generations use them too: once
    /// somebody is archived, some vendors do not find them by their e-mail address any more.
    pub ids: BTreeMap<String, Vec<SubjectData>>,
    /// What the vendor has answered to a job that was submitted.
    pub job: BTreeMap<String, Vec<SubjectData>>,
    /// When the job was submitted.
    pub sent: Option<At>,
    /// How much an earlier attempt has erased.
    pub erased: u64,
}

const VERSION: u8 = 1;

impl Kept {
    /// What a generation starts with: ids stay, jobs are those of another generation.
    #[must_use]
    pub fn of_generation(mut self, generation: u32) -> Self {
        if self.generation != generation {
            self.job.clear();
            self.sent = None;
            self.erased = 0;
            self.generation = generation;
        }
        self
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.job.is_empty() && self.sent.is_none() && self.erased == 0
    }

    /// The values of this name.
    pub fn get(&self, name: &str) -> &[SubjectData] {
        let found = self.job.get(name).or_else(|| self.ids.get(name));
        found.map_or(&[], Vec::as_slice)
    }

    /// Adds ids, each once. Whether there was a new one.
    pub fn add(&mut self, name: &str, values: Vec<String>, is_of_job: bool) -> bool {
        if values.is_empty() {
            return false;
        }
        let map = if is_of_job { &mut self.job } else { &mut self.ids };
        let known = map.entry(name.to_owned()).or_default();
        let mut is_new = false;
        for value in values.into_iter().map(SubjectData::new) {
            if !known.contains(&value) {
                known.push(value);
                is_new = true;
            }
        }
        is_new
    }

    /// Replaces an id by the one that the vendor has merged it into.
    pub fn replace(&mut self, old: &SubjectData, new: &SubjectData) {
        for value in self.ids.values_mut().flatten().filter(|value| *value == old) {
            value.clone_from(new);
        }
    }

    /// Packs it, to be sealed.
    pub fn pack(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, vec![VERSION])
    }

    /// Unpacks what was opened.
    pub fn unpack(bytes: &[u8]) -> Result<Self, postcard::Error> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outlive_a_generation_and_jobs_do_not() {
        let mut kept = Kept::default().of_generation(1);
        assert!(kept.add("contact", vec!["7".into(), "7".into()], false));
        assert!(kept.add("job", vec!["j".into()], true));
        assert!(!kept.add("contact", vec!["7".into()], false));
        let again = Kept::unpack(&kept.pack().unwrap()).unwrap();
        assert_eq!(again, kept);
        assert_eq!(again.clone().of_generation(1), kept);
        let next = again.of_generation(2);
        assert_eq!(next.get("contact"), kept.get("contact"));
        assert!(next.get("job").is_empty());
        assert!(!format!("{kept:?}").contains('7'), "an id is subject data");
        assert!(Kept::unpack(&[9]).is_err());
    }
}

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
    /// What the vendor has answered to a job, by what it was submitted with: a person with two identifiers may have two jobs,
    /// and each has to be done.
    pub job_of: BTreeMap<String, Vec<(SubjectData, SubjectData)>>,
    /// When the first job of an attempt began that has not submitted everything yet.
    pub begun: Option<At>,
    /// How often the vendor has refused a call that has a key: the next one is another call, and needs another key.
    pub refused: u32,
    /// Why the vendor keeps a part of the person, where a job goes on for another part.
    pub retained: Option<String>,
}

/// As it was stored until a job was kept by what it was submitted with.
#[derive(Deserialize)]
struct First {
    generation: u32,
    ids: BTreeMap<String, Vec<SubjectData>>,
    job: BTreeMap<String, Vec<SubjectData>>,
    sent: Option<At>,
    erased: u64,
}

impl From<First> for Kept {
    fn from(first: First) -> Self {
        Self {
            generation: first.generation,
            ids: first.ids,
            job: first.job,
            sent: first.sent,
            erased: first.erased,
            begun: first.sent,
            ..Self::default()
        }
    }
}

const FIRST: u8 = 1;
const VERSION: u8 = 2;

impl Kept {
    /// What a generation starts with: ids stay, jobs are those of another generation.
    #[must_use]
    pub fn of_generation(self, generation: u32) -> Self {
        if self.generation == generation {
            return self;
        }
        Self {
            generation,
            ids: self.ids,
            ..Self::default()
        }
    }

    /// What is left once a job has failed: the next attempt submits another one, under another key.
    #[must_use]
    pub fn without_job(self) -> Self {
        Self {
            generation: self.generation,
            ids: self.ids,
            erased: self.erased,
            refused: self.refused.saturating_add(1),
            ..Self::default()
        }
    }

    /// The values of this name.
    pub fn get(&self, name: &str) -> &[SubjectData] {
        let found = self.job.get(name).or_else(|| self.ids.get(name));
        found.map_or(&[], Vec::as_slice)
    }

    /// The values of this name that were answered to a call with this; where that is not known, all of them.
    pub fn of_target(&self, name: &str, target: &SubjectData) -> Vec<SubjectData> {
        let pairs = self.job_of.get(name).map_or(&[][..], Vec::as_slice);
        let own = pairs.iter().filter(|(of, _)| of == target);
        let own: Vec<SubjectData> = own.map(|(_, value)| value.clone()).collect();
        if own.is_empty() {
            self.get(name).to_vec()
        } else {
            own
        }
    }

    /// Whether a job was begun with this.
    pub fn has_job_of<'a>(&self, mut names: impl Iterator<Item = &'a String>, target: &SubjectData) -> bool {
        names.any(|name| {
            let pairs = self.job_of.get(name);
            pairs.is_some_and(|pairs| pairs.iter().any(|(of, _)| of == target))
        })
    }

    /// Adds what was answered to a job that was submitted with this. Whether there was something new.
    pub fn add_job(&mut self, name: &str, target: &SubjectData, values: Vec<String>) -> bool {
        let pairs = self.job_of.entry(name.to_owned()).or_default();
        let before = pairs.len();
        for value in &values {
            let pair = (target.clone(), SubjectData::new(value.as_str()));
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        let is_new = pairs.len() > before;
        self.add(name, values, true) || is_new
    }

    /// The same with only this value of each of these names: for a call that is made for each.
    #[must_use]
    pub fn with_only(&self, chosen: &[(String, SubjectData)]) -> Self {
        let mut only = self.clone();
        for (name, value) in chosen {
            only.job.insert(name.clone(), vec![value.clone()]);
        }
        only
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
        for values in self.ids.values_mut().filter(|values| values.contains(old)) {
            let is_known = values.contains(new);
            values.retain(|value| !is_known || value != old);
            for value in values.iter_mut().filter(|value| *value == old) {
                value.clone_from(new);
            }
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
            Some((&FIRST, rest)) => Ok(postcard::from_bytes::<First>(rest)?.into()),
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

    #[test]
    fn a_note_of_the_first_version_is_read() {
        #[derive(Serialize)]
        struct Old {
            generation: u32,
            ids: BTreeMap<String, Vec<SubjectData>>,
            job: BTreeMap<String, Vec<SubjectData>>,
            sent: Option<At>,
            erased: u64,
        }
        let one =
            |name: &str, value: &str| BTreeMap::from([(name.to_owned(), vec![SubjectData::new(value)])]);
        let old = Old {
            generation: 3,
            ids: one("contact", "c-1"),
            job: one("job", "j-1"),
            sent: Some(At::default()),
            erased: 2,
        };
        let bytes = postcard::to_extend(&old, vec![FIRST]).unwrap();
        let kept = Kept::unpack(&bytes).unwrap();
        assert_eq!((kept.generation, kept.erased), (3, 2));
        assert_eq!(kept.get("contact")[0].expose(), "c-1");
        assert_eq!(kept.of_target("job", &SubjectData::new("7"))[0].expose(), "j-1");
        assert_eq!(kept.sent, kept.begun);
    }

    #[test]
    fn each_identifier_has_the_job_that_it_was_submitted_in() {
        let (ann, ben) = (SubjectData::new("ann"), SubjectData::new("ben"));
        let mut kept = Kept::default().of_generation(1);
        assert!(kept.add_job("day", &ann, vec!["2026-12-12".into()]));
        assert!(kept.add_job("day", &ben, vec!["2026-12-13".into()]));
        assert!(!kept.add_job("day", &ben, vec!["2026-12-13".into()]));
        let days = |of: &SubjectData| {
            let days = kept.of_target("day", of).into_iter();
            days.map(|day| day.expose().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(days(&ann), ["2026-12-12"]);
        assert_eq!(days(&ben), ["2026-12-13"]);
        assert_eq!(days(&SubjectData::new("")), ["2026-12-12", "2026-12-13"]);
        let after = kept.clone().without_job();
        assert!(after.job.is_empty() && after.job_of.is_empty());
        assert_eq!(after.refused, 1);
        let merged = {
            let mut kept = Kept::default();
            kept.add("contact", vec!["a".into(), "b".into()], false);
            kept.replace(&SubjectData::new("a"), &SubjectData::new("b"));
            kept
        };
        assert_eq!(merged.get("contact").len(), 1, "the other one was known already");
    }
}

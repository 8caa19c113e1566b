//! The registry of a script that has no file for it.

use super::words::{Attributes, names};

/// The registry of these processors, as its file would have it.
pub fn registry(processors: &[(String, Attributes)]) -> String {
    processors
        .iter()
        .map(|(id, rules)| processor(id, rules))
        .collect()
}

fn processor(id: &str, rules: &Attributes) -> String {
    let get = |key: &str, default: &str| rules.get(key).map_or(default, String::as_str).to_owned();
    let is_backup = rules.contains_key("of");
    let kind = if is_backup { "backup" } else { "other" };
    let identities = if is_backup {
        "customer_id"
    } else {
        "email,customer_id"
    };
    let mut text = format!(
        "[[processor]]\nid = \"{id}\"\nkind = \"{kind}\"\ntransport = {{ type = \"kafka\" }}\nactions = {}\nidentities = \
         {}\nack_timeout = \"{}\"\nretry = {{ initial = \"1h\", multiplier = 1.0, jitter = 0.0, attempts = {} }}\n",
        list(&get("actions", "erase,anonymize")),
        list(&get("identities", identities)),
        get("timeout", "300d"),
        get("attempts", "2"),
    );
    for key in ["categories", "after"] {
        if let Some(value) = rules.get(key) {
            text += &format!("{key} = {}\n", list(value));
        }
    }
    for key in ["verify", "sweep"] {
        if let Some(after) = rules.get(key) {
            text += &format!("{key} = {{ after = \"{after}\" }}\n");
        }
    }
    if rules.contains_key("exempt_unknown") {
        text += "missing_identity = \"exempt\"\n";
    }
    if is_backup {
        let key = if rules.contains_key("key") {
            ", erase_by = \"key\""
        } else {
            ""
        };
        text += &format!(
            "backup = {{ sources = {}, set = \"{}\", keep = \"{}\", confirm_by = \"{}\", overdue_after = \"{}\"{key} }}\n",
            list(&get("of", "")),
            get("set", id),
            get("keep", "35d"),
            get("by", "event"),
            get("overdue", "48h"),
        );
    }
    text + &get("retain", "").split('+').map(retention).collect::<String>()
}

/// `categories:keep:anchor:then`, the last two of which may be left out.
fn retention(rule: &str) -> String {
    let mut parts = rule.split(':');
    let categories = parts.next().unwrap_or_default();
    if categories.is_empty() {
        return String::new();
    }
    let keep = parts.next().unwrap_or_default();
    let from = parts.next().filter(|anchor| !anchor.is_empty());
    let from = from.map_or(String::new(), |anchor| format!("from = \"{anchor}\"\n"));
    let then = parts.next().unwrap_or("erase");
    let categories = list(categories);
    format!(
        "[[processor.retention]]\ncategories = {categories}\nbasis = \"tax_law\"\nkeep = \"{keep}\"\nthen = \"{then}\"\n{from}"
    )
}

fn list(text: &str) -> String {
    format!("{:?}", names(text))
}

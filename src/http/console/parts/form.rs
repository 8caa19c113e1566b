//! Forms that do something: what will happen is said beside the button, computed when the page is shown.

use maud::{Markup, html};

use super::{super::visitor::Visitor, times::Times};
use crate::engine::time_ordered_id;

/// Whether somebody has to say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Without it nothing is done.
    Needed,
    /// It may be left out.
    Welcome,
    /// Nobody asks.
    None,
}

/// Something that can be done.
#[derive(Debug)]
pub struct Action<'a> {
    /// What it is called in `data-action`: `approve`, `retry`, …
    pub name: &'a str,
    /// Where the form goes.
    pub path: &'a str,
    /// What stands above the form.
    pub title: &'a str,
    /// What the button says.
    pub button: &'a str,
    /// What will happen, in words.
    pub preview: Markup,
    /// Further fields, each with its label.
    pub fields: Markup,
    /// Whether a reason is asked for.
    pub reason: Reason,
    /// Whether it cannot be taken back.
    pub is_final: bool,
}

impl<'a> Action<'a> {
    /// An action that asks for nothing but a reason.
    pub fn new(name: &'a str, path: &'a str, title: &'a str, preview: Markup) -> Self {
        Self {
            name,
            path,
            title,
            button: title,
            preview,
            fields: html! {},
            reason: Reason::Needed,
            is_final: false,
        }
    }

    /// One that asks for its reason like this.
    #[must_use]
    pub fn asking(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// One that cannot be taken back.
    #[must_use]
    pub fn finally(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// Its form, the only one of its name on the page.
    pub fn form<R>(&self, visitor: &Visitor<R>, times: &Times) -> Markup {
        action_form(visitor, times, self, "")
    }
}

/// The form of an action. `mark`: what tells it from others of its name on the same page, such as the id of its task.
pub fn action_form<R>(visitor: &Visitor<R>, times: &Times, action: &Action<'_>, mark: &str) -> Markup {
    let id = if mark.is_empty() {
        action.name.to_owned()
    } else {
        format!("{}-{mark}", action.name)
    };
    let preview = format!("{id}-preview");
    html! {
        form.action method="post" action=(action.path) data-action=(action.name) id=(id) aria-describedby=(preview) {
            h3 { (action.title) }
            div.preview id=(preview) { (action.preview) }
            (visitor.csrf_field())
            // A form that is sent twice, by two clicks for instance, does one thing.
            input type="hidden" name="command_id" value=(time_ordered_id(times.now));
            (action.fields)
            @match action.reason {
                Reason::None => {}
                Reason::Needed => (text_field(&id, "reason", "Why (is kept with the decision)", true)),
                Reason::Welcome => (text_field(&id, "reason", "Why (may be left empty)", false)),
            }
            button type="submit" class=[action.is_final.then_some("final")] { (action.button) }
        }
    }
}

/// A line of text. `form`: the id of the form that it stands in.
pub fn text_field(form: &str, name: &str, label: &str, required: bool) -> Markup {
    let id = format!("{form}-{name}");
    html! {
        label for=(id) { (label) }
        input type="text" id=(id) name=(name) required[required] maxlength="1000" autocomplete="off";
    }
}

/// A choice out of words, each with what it says to people. `chosen`: the one that is preset.
pub fn choice_field(form: &str, name: &str, label: &str, choices: &[(&str, String)], chosen: &str) -> Markup {
    let id = format!("{form}-{name}");
    html! {
        label for=(id) { (label) }
        select id=(id) name=(name) required {
            @if chosen.is_empty() {
                option value="" { "Choose one" }
            }
            @for (value, said) in choices {
                option value=(value) selected[*value == chosen] { (said) }
            }
        }
    }
}

/// The fields of a form as the body of the API's call; what was left empty is left out.
pub fn body(fields: &[(&str, &str)]) -> Vec<u8> {
    let given = fields.iter().filter(|(_, value)| !value.trim().is_empty());
    let object: serde_json::Map<String, serde_json::Value> = given
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    serde_json::Value::Object(object).to_string().into_bytes()
}

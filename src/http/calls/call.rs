//! What is told of a call.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::input::Needs;

/// A schema that is made when the description is.
pub(in super::super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A call.
pub(in super::super) struct Call {
    /// The method, in lower case.
    pub(in super::super) method: &'static str,
    /// The path.
    pub(in super::super) path: &'static str,
    /// What the handler's type says.
    pub(in super::super) needs: Needs,
    /// In a few words; empty: nobody has described it.
    pub(in super::super) summary: &'static str,
    /// What else there is to say.
    pub(in super::super) details: &'static str,
    /// Parameters that the handler's type does not say.
    pub(in super::super) parameters: Vec<Parameter>,
    /// The schema of the body, and whether it may be left out.
    pub(in super::super) body: Option<(SchemaOf, bool)>,
    /// What its body is written in.
    pub(in super::super) body_media: &'static str,
    /// Bodies as they may be sent, by name.
    pub(in super::super) examples: Vec<(&'static str, &'static str)>,
    /// What it answers when it does what it is asked.
    pub(in super::super) answers: BTreeMap<u16, CallAnswer>,
    /// The problems beside those that every call of its kind has: a status, a code, when it comes.
    pub(in super::super) problems: Vec<(u16, &'static str, &'static str)>,
    /// Whether its errors have the shape that OpenDSR gives them.
    pub(in super::super) is_opendsr: bool,
}

/// A parameter of the query, or a header.
pub(in super::super) struct Parameter {
    /// Its name.
    pub(in super::super) name: &'static str,
    /// Where it stands.
    pub(in super::super) place: ParameterIn,
    /// What it says.
    pub(in super::super) text: &'static str,
    /// What it may be.
    pub(in super::super) schema: SchemaOf,
    /// Whether it may have several values, with commas between.
    pub(in super::super) is_list: bool,
    /// Whether it has to be there.
    pub(in super::super) is_required: bool,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum ParameterIn {
    /// In the query.
    Query,
    /// Among the headers.
    Header,
}

/// What is answered.
pub(in super::super) struct CallAnswer {
    /// When.
    pub(in super::super) text: &'static str,
    /// What is in it.
    pub(in super::super) content: Content,
    /// Whether it says where to find what was made.
    pub(in super::super) has_location: bool,
    /// The other media types that it can be had in.
    pub(in super::super) also: Vec<&'static str>,
}

/// What is in an answer.
pub(in super::super) enum Content {
    /// JSON of this schema.
    Json(SchemaOf),
    /// Text of this media type.
    Text(&'static str),
}

impl Call {
    pub(in super::super) const fn new(method: &'static str, path: &'static str, needs: Needs) -> Self {
        Self {
            method,
            path,
            needs,
            summary: "",
            details: "",
            parameters: Vec::new(),
            body: None,
            body_media: "application/json",
            examples: Vec::new(),
            answers: BTreeMap::new(),
            problems: Vec::new(),
            is_opendsr: false,
        }
    }

    /// What it does, in a few words.
    pub(in super::super) const fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// What else there is to say.
    pub(in super::super) const fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    /// A parameter of the query.
    pub(in super::super) fn query<T: JsonSchema>(self, name: &'static str, text: &'static str) -> Self {
        self.parameter(name, ParameterIn::Query, text, T::json_schema, false)
    }

    /// A parameter of the query that may have several values, with commas between.
    pub(in super::super) fn query_list<T: JsonSchema>(self, name: &'static str, text: &'static str) -> Self {
        self.parameter(name, ParameterIn::Query, text, T::json_schema, true)
    }

    fn parameter(
        mut self,
        name: &'static str,
        place: ParameterIn,
        text: &'static str,
        schema: SchemaOf,
        is_list: bool,
    ) -> Self {
        self.parameters.push(Parameter {
            name,
            place,
            text,
            schema,
            is_list,
            is_required: false,
        });
        self
    }

    /// It is a list that comes in pages.
    pub(in super::super) fn paged(self) -> Self {
        self.query::<Limit>("limit", "How many items the page has at the most.")
            .query::<Cursor>("cursor", "The `next_cursor` of the page before.")
    }

    /// It may be repeated under a key.
    pub(in super::super) fn repeatable(self) -> Self {
        let text = "The key under which the call may be repeated; the body's `command_id` comes first.";
        self.parameter(
            "Idempotency-Key",
            ParameterIn::Header,
            text,
            Key::json_schema,
            false,
        )
    }

    /// Its body.
    pub(in super::super) fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some((|generator| generator.subschema_for::<T>(), false));
        self
    }

    /// Its body, which is written in something else than JSON.
    pub(in super::super) fn body_in<T: JsonSchema>(self, media: &'static str) -> Self {
        Self {
            body_media: media,
            ..self.body::<T>()
        }
    }

    /// A header that it has to have.
    pub(in super::super) fn header<T: JsonSchema>(mut self, name: &'static str, text: &'static str) -> Self {
        self = self.parameter(name, ParameterIn::Header, text, T::json_schema, false);
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.is_required = true;
        }
        self
    }

    /// Its body, which may be left out.
    pub(in super::super) fn optional_body<T: JsonSchema>(mut self) -> Self {
        self.body = Some((|generator| generator.subschema_for::<T>(), true));
        self
    }

    /// A body as it may be sent.
    pub(in super::super) fn example(mut self, name: &'static str, json: &'static str) -> Self {
        self.examples.push((name, json));
        self
    }

    /// What it answers when it does what it is asked.
    pub(in super::super) fn answers<T: JsonSchema>(self, status: u16, text: &'static str) -> Self {
        self.answer(
            status,
            text,
            Content::Json(|generator| generator.subschema_for::<T>()),
        )
    }

    /// The same, in text of this media type.
    pub(in super::super) fn answers_in(self, status: u16, media: &'static str, text: &'static str) -> Self {
        self.answer(status, text, Content::Text(media))
    }

    fn answer(mut self, status: u16, text: &'static str, content: Content) -> Self {
        let has_location = false;
        self.answers.insert(
            status,
            CallAnswer {
                text,
                content,
                has_location,
                also: Vec::new(),
            },
        );
        self
    }

    /// Its list also comes as CSV, all of it at once.
    pub(in super::super) fn or_csv(self) -> Self {
        let text = "`csv`: all of the list, as `Accept: text/csv` asks for it, too.";
        self.query::<Format>("format", text)
            .also_in("text/csv; charset=utf-8")
    }

    /// Its answers can be had in this media type, too.
    pub(in super::super) fn also_in(mut self, media: &'static str) -> Self {
        for answer in self.answers.values_mut() {
            answer.also.push(media);
        }
        self
    }

    /// Its answers say in `Location` where to find what was made.
    pub(in super::super) fn located(mut self) -> Self {
        for answer in self.answers.values_mut() {
            answer.has_location = true;
        }
        self
    }

    /// A problem that it may have beside those that every call of its kind has.
    pub(in super::super) fn problem(mut self, status: u16, code: &'static str, text: &'static str) -> Self {
        self.problems.push((status, code, text));
        self
    }

    /// Its errors have the shape that OpenDSR gives them.
    pub(in super::super) const fn of_opendsr(mut self) -> Self {
        self.is_opendsr = true;
        self
    }
}

macro_rules! schemas {
    ($($(#[$meta:meta])* $name:ident = $schema:tt;)+) => {$(
        $(#[$meta])*
        pub(in super::super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!($schema)
            }
        }
    )+};
}

schemas! {
    /// How many items a page has.
    Limit = { "type": "integer", "minimum": 1, "maximum": 500, "default": 50 };
    /// Where a page has ended.
    Cursor = { "type": "string", "minLength": 1 };
    /// How a list is written.
    Format = { "type": "string", "enum": ["json", "csv"] };
    /// A key under which a call may be repeated.
    Key = { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^(\"([ !#-\\[\\]-~]|\\\\[\"\\\\])+\"|[!#-~]([ !#-~]*[!#-~])?)$" };
}

//! Problems that several calls may answer with: each is written once, under a name, and the calls refer to it.

use std::{collections::BTreeMap, mem};

use serde_json::{Map, Value, json};

/// Moves what several calls have in common out of them, and gives it by name.
pub(super) fn share(paths: &mut Map<String, Value>) -> Map<String, Value> {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for_each_problem(paths, |_, problem| {
        *times.entry(problem.to_string()).or_default() += 1;
    });
    let mut shared = Map::new();
    for_each_problem(paths, |status, problem| {
        if times.get(&problem.to_string()).is_some_and(|times| *times > 1) {
            let name = name_of(status, problem, &shared);
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            shared.insert(name, mem::replace(problem, reference));
        }
    });
    shared
}

fn for_each_problem(paths: &mut Map<String, Value>, mut each: impl FnMut(&str, &mut Value)) {
    let calls = paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    let responses = calls
        .filter_map(|call| call.get_mut("responses")?.as_object_mut())
        .flatten();
    for (status, response) in responses.filter(|(status, _)| status.as_str() >= "400") {
        each(status, response);
    }
}

/// `Problem404NotFound`: by its status and its codes. Those that say something else under the same codes are numbered.
fn name_of(status: &str, problem: &Value, known: &Map<String, Value>) -> String {
    let codes = problem.pointer("/content/application~1problem+json/schema/properties/code/enum");
    let codes = codes.and_then(Value::as_array).into_iter().flatten();
    let words = codes.filter_map(Value::as_str).flat_map(|code| code.split('_'));
    // Calls of OpenDSR answer in its own shape as well.
    let of_opendsr = problem.pointer("/content/application~1json").map(|_| "OpenDsr");
    let first = format!("{}Problem{status}", of_opendsr.unwrap_or_default());
    let name = words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    });
    let mut names = std::iter::once(name.clone()).chain((2_u32..).map(|n| format!("{name}{n}")));
    let is_free = |name: &String| known.get(name).is_none_or(|other| other == problem);
    names.find(is_free).unwrap_or(name)
}

//! `lacuna drop export`: what has become of a list, as it is sent back.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        Exit, Failure,
        output::Out,
        session::{self, block_on},
    },
    ListArgs, read,
};
use crate::{
    domain::{ids::RequestId, request::Request},
    terminal::output::aside,
    wire::drop::DropAnswer,
};

/// How many requests are read at a time.
const CHUNK: usize = 500;

pub(super) fn run(args: &ListArgs) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let (list, lines) = read(&args.file)?;
    let (mut out, mut counts, mut missing, mut unanswered) = (Out::stdout(), BTreeMap::new(), 0_u64, 0_u64);
    out.line("Id,Status")?;
    block_on(async {
        let store = session::open_store(&config).await?;
        for chunk in lines.chunks(CHUNK) {
            let ids: Vec<RequestId> = chunk.iter().map(|line| list.request_id(line)).collect();
            let stored = store.requests(&ids).await?.into_iter();
            let requests: HashMap<RequestId, Request> =
                stored.map(|stored| (stored.request.id, stored.request)).collect();
            for (line, id) in chunk.iter().zip(ids) {
                let request = requests.get(&id);
                // A request that was merged is carried out by another one, which may be anybody's: somebody has to look.
                match request.map(DropAnswer::of) {
                    Some(Some(answer)) => {
                        *counts.entry(answer).or_insert(0_u64) += 1;
                        out.line(format_args!("{},{}", line.id, answer.code()))?;
                    }
                    Some(None) => unanswered += 1,
                    None => missing += 1,
                }
            }
        }
        Ok(())
    })?;
    out.end()?;
    for (answer, count) in &counts {
        aside(format_args!("{count} {}", answer.as_str()));
    }
    if missing > 0 {
        aside(format_args!(
            "{missing} are not known here: the list was not taken in, or not yet (`lacuna drop import`)"
        ));
    }
    if unanswered > 0 {
        aside(format_args!(
            "{unanswered} have no answer yet, and are not in the file"
        ));
    }
    Ok(if missing + unanswered == 0 {
        Exit::Ok
    } else {
        Exit::NotSo
    })
}

//! Walks over requests as statements: each reads one index in its order, from one place to another, and of the requests what it
//! finds there.

use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProcessorId, Tenant},
        request::packed::packed_name,
        time::At,
        words::Status,
    },
    store::{
        lists::{Among, ListOrder, Sieve, Walk},
        statement::{Column, Statement, Text, sql},
    },
};

/// A walk to its end, or from there: after one place, and up to another one. What its sieve leaves out does not come: names stand in
/// a packed request as they are, and an empty one in each.
macro_rules! walk_by_id {
    ($backwards:expr, [$($head:tt)+], $place:literal) => {
        if $backwards {
            walk_by_id!(@ [$($head)+] $place " < $1 and " $place " >= $2", $place " desc")
        } else {
            walk_by_id!(@ [$($head)+] $place " > $1 and " $place " <= $2", $place)
        }
    };
    (@ [$($head:tt)+] $a:literal $b:literal $c:literal $d:literal, $($order:literal)+) => {
        sql!($($head)+ $a $b $c $d " and s.status " any "$4"
            " and " ["position($5 in s.packed)" | "instr(s.packed, $5)"] " > 0 and "
            ["position($6 in s.packed)" | "instr(s.packed, $6)"] " > 0 order by " $($order)+ " limit $3")
    };
}

/// The same by deadline. Each end of the range is told once: given two beginnings, PostgreSQL may begin at the one that is further
/// away.
macro_rules! walk_by_deadline {
    ($backwards:expr, [$($head:tt)+], $deadline:literal, $id:literal) => {
        if $backwards {
            walk_by_deadline!(@ [$($head)+] $deadline, $id, " < ($1, $2) and (", " >= ($3, $4)", " desc")
        } else {
            walk_by_deadline!(@ [$($head)+] $deadline, $id, " > ($1, $2) and (", " <= ($3, $4)", "")
        }
    };
    (@ [$($head:tt)+] $deadline:literal, $id:literal, $begin:literal, $end:literal, $way:literal) => {
        sql!($($head)+ "(" $deadline ", " $id ")" $begin $deadline ", " $id ")" $end " and s.status " any "$6"
            " and " ["position($7 in s.packed)" | "instr(s.packed, $7)"] " > 0 and "
            ["position($8 in s.packed)" | "instr(s.packed, $8)"] " > 0 order by " $deadline $way ", " $id $way " limit $5")
    };
}

/// The place that is so many rows further.
macro_rules! stride_by_id {
    ($backwards:expr, [$($head:tt)+], $place:literal) => {
        if $backwards {
            sql!($($head)+ $place " < $1 order by " $place " desc limit 1 offset $2")
        } else {
            sql!($($head)+ $place " > $1 order by " $place " limit 1 offset $2")
        }
    };
}

/// The same by deadline.
macro_rules! stride_by_deadline {
    ($backwards:expr, [$($head:tt)+], $deadline:literal, $id:literal) => {
        if $backwards {
            sql!($($head)+ "(" $deadline ", " $id ") < ($1, $2) and (" $deadline ", " $id ") >= ($3, $4) \
                order by " $deadline " desc, " $id " desc limit 1 offset $5")
        } else {
            sql!($($head)+ "(" $deadline ", " $id ") > ($1, $2) and (" $deadline ", " $id ") <= ($3, $4) \
                order by " $deadline ", " $id " limit 1 offset $5")
        }
    };
}

/// A walk as a statement. Each reads one index in its order, and of the requests what it finds there.
pub(super) fn statement_of(walk: &Walk) -> Statement<'static> {
    let limit = i64::from(walk.limit);
    let statement = match walk.order {
        ListOrder::Id => {
            let (begin, end) = (start(walk).1, end(walk).1);
            Statement::new(by_id(walk)).bind(begin).bind(end).bind(limit)
        }
        ListOrder::Deadline => within(walk, by_deadline(walk)).bind(limit),
        ListOrder::Received => within(walk, by_receipt(walk)).bind(limit),
    };
    let Sieve {
        statuses,
        tenant,
        processor,
    } = &walk.sieve;
    let statuses = statuses.as_deref().unwrap_or(Status::ALL);
    let codes = statuses.iter().map(|status| i16::from(status.code())).collect();
    let name = |name: Option<&str>| name.map(packed_name).unwrap_or_default();
    let statement = statement
        .bind(Column::Smallint(codes))
        .bind(name(tenant.as_ref().map(Tenant::as_str)))
        .bind(name(processor.as_ref().map(ProcessorId::as_str)));
    among(walk, statement)
}

fn by_id(walk: &Walk) -> Text {
    match walk.among {
        Among::All => walk_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", s.id, s.revision, s.packed, s.wrapped_key from state s where "],
            "s.id"
        ),
        Among::Tenant => walk_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", s.id, s.revision, s.packed, s.wrapped_key \
             from request r " join " state s on s.id = r.id where r.tenant = $7 and r.tenant <> 'default' and "],
            "r.id"
        ),
        Among::Open => walk_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", s.id, s.revision, s.packed, s.wrapped_key \
             from agenda a " join " state s on s.id = a.request_id where "],
            "a.request_id"
        ),
        Among::Marked(_) => walk_by_id!(
            walk.backwards,
            ["select m.deadline, s.id, s.revision, s.packed, s.wrapped_key \
             from marked m " join " state s on s.id = m.request_id where m.mark = $7 and "],
            "m.request_id"
        ),
    }
}

/// Of what is open it reads those that are parked, or those that are not: an index has both in this order, one behind the other.
fn by_receipt(walk: &Walk) -> Text {
    match walk.among {
        Among::Open | Among::Marked(_) => walk_by_deadline!(
            walk.backwards,
            ["select a.received_at, s.id, s.revision, s.packed, s.wrapped_key \
             from agenda a " join " state s on s.id = a.request_id where a.parked = $9 and "],
            "a.received_at",
            "a.request_id"
        ),
        // PostgreSQL has a summary of the times of each range of blocks, which it asks for times alone, not for pairs of them.
        Among::All | Among::Tenant if walk.backwards => walk_by_deadline!(
            true,
            ["select r.received_at, s.id, s.revision, s.packed, s.wrapped_key from request r " join " state s on s.id = r.id \
             where r.received_at <= $1 and r.received_at >= $3 and "],
            "r.received_at",
            "r.id"
        ),
        Among::All | Among::Tenant => walk_by_deadline!(
            false,
            ["select r.received_at, s.id, s.revision, s.packed, s.wrapped_key from request r " join " state s on s.id = r.id \
             where r.received_at >= $1 and r.received_at <= $3 and "],
            "r.received_at",
            "r.id"
        ),
    }
}

fn by_deadline(walk: &Walk) -> Text {
    match walk.among {
        Among::All | Among::Open | Among::Tenant => walk_by_deadline!(
            walk.backwards,
            ["select a.deadline, s.id, s.revision, s.packed, s.wrapped_key \
             from agenda a " join " state s on s.id = a.request_id where a.deadline is not null and "],
            "a.deadline",
            "a.request_id"
        ),
        Among::Marked(_) => walk_by_deadline!(
            walk.backwards,
            ["select m.deadline, s.id, s.revision, s.packed, s.wrapped_key \
             from marked m " join " state s on s.id = m.request_id where m.mark = $9 and "],
            "m.deadline",
            "m.request_id"
        ),
    }
}

/// The place of the last of so many, as a statement that reads an index and nothing else.
pub(super) fn stride_of(walk: &Walk) -> Statement<'static> {
    let offset = i64::from(walk.limit.max(1)) - 1;
    let statement = match walk.order {
        ListOrder::Id => Statement::new(stride_by_id(walk))
            .bind(start(walk).1)
            .bind(offset),
        ListOrder::Deadline => within(walk, stride_by_deadline(walk)).bind(offset),
        ListOrder::Received => within(walk, stride_by_receipt(walk)).bind(offset),
    };
    among(walk, statement)
}

fn stride_by_id(walk: &Walk) -> Text {
    match walk.among {
        Among::All => stride_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", id from state where "],
            "id"
        ),
        Among::Tenant => stride_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", id from request where tenant = $3 and tenant <> 'default' and "],
            "id"
        ),
        Among::Open => stride_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", request_id from agenda where "],
            "request_id"
        ),
        Among::Marked(_) => stride_by_id!(
            walk.backwards,
            ["select " ["0::int8" | "0"] ", request_id from marked where mark = $3 and "],
            "request_id"
        ),
    }
}

fn stride_by_receipt(walk: &Walk) -> Text {
    match walk.among {
        Among::Open | Among::Marked(_) => stride_by_deadline!(
            walk.backwards,
            ["select received_at, request_id from agenda where parked = $6 and "],
            "received_at",
            "request_id"
        ),
        Among::All | Among::Tenant => stride_by_deadline!(
            walk.backwards,
            ["select received_at, id from request where "],
            "received_at",
            "id"
        ),
    }
}

fn stride_by_deadline(walk: &Walk) -> Text {
    match walk.among {
        Among::All | Among::Open | Among::Tenant => stride_by_deadline!(
            walk.backwards,
            ["select deadline, request_id from agenda where deadline is not null and "],
            "deadline",
            "request_id"
        ),
        Among::Marked(_) => stride_by_deadline!(
            walk.backwards,
            ["select deadline, request_id from marked where mark = $6 and "],
            "deadline",
            "request_id"
        ),
    }
}

/// With both ends of a range of deadlines.
fn within(walk: &Walk, text: Text) -> Statement<'static> {
    let after = walk.later_than.map_or(i64::MIN, At::millis);
    let before = walk.earlier_than.map_or(i64::MAX, At::millis);
    let (begin, end) = if walk.backwards {
        let begin = start(walk).min((before, Uuid::nil()));
        (begin, end(walk).max((after.saturating_add(1), Uuid::nil())))
    } else {
        let begin = start(walk).max((after, Uuid::max()));
        (begin, end(walk).min((before.saturating_sub(1), Uuid::max())))
    };
    let statement = Statement::new(text).bind(begin.0).bind(begin.1);
    statement.bind(end.0).bind(end.1)
}

/// With what tells those that are meant from all the others.
fn among(walk: &Walk, statement: Statement<'static>) -> Statement<'static> {
    if walk.order == ListOrder::Received {
        return match walk.among {
            Among::Open | Among::Marked(_) => statement.bind(walk.sieve.parked().unwrap_or_default()),
            Among::All | Among::Tenant => statement,
        };
    }
    match walk.among {
        Among::Marked(mark) => statement.bind(i16::from(mark.code())),
        Among::Tenant => statement.bind(
            walk.sieve
                .tenant
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        ),
        Among::All | Among::Open => statement,
    }
}

/// After which place; without one, before the first: no request has the nil id, nor the highest one.
fn start(walk: &Walk) -> (i64, Uuid) {
    match walk.after {
        Some((deadline, id)) => (deadline.millis(), id.0),
        None if walk.backwards => (i64::MAX, Uuid::max()),
        None => (i64::MIN, Uuid::nil()),
    }
}

/// Up to which place; without one, to the last.
fn end(walk: &Walk) -> (i64, Uuid) {
    match walk.until {
        Some((deadline, id)) => (deadline.millis(), id.0),
        None if walk.backwards => (i64::MIN, Uuid::nil()),
        None => (i64::MAX, Uuid::max()),
    }
}

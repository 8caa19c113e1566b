//! The text of a statement, in both dialects.

/// A text in both dialects, made by [`sql!`].
#[derive(Debug, Clone, Copy)]
pub struct Text {
    pub(in crate::store) postgres: &'static str,
    pub(in crate::store) sqlite: &'static str,
}

/// A text for both databases, of literals and of what differs between the two:
///
/// - `["one" | "other"]`: this for PostgreSQL, that for SQLite.
/// - `lock "…"`: the lock that PostgreSQL takes. SQLite has one writer, and nothing to lock.
/// - `ids "$n"`: one of these ids, where they are one value.
/// - `any "$n"`, `none "$n"`: one of these numbers, or none of them, where they are one value.
/// - `join`: as it is written in the text that order. SQLite is told not to choose another one, because it knows nothing
///   of the sizes of tables.
///
/// SQLite takes `$n` for a number too, so that most statements are one literal.
macro_rules! sql {
    (@ [$($p:tt)*] [$($s:tt)*]) => {
        $crate::store::statement::Text { postgres: concat!($($p)*), sqlite: concat!($($s)*) }
    };
    (@ [$($p:tt)*] [$($s:tt)*] [$one:literal | $other:literal] $($rest:tt)*) => {
        sql!(@ [$($p)* $one,] [$($s)* $other,] $($rest)*)
    };
    (@ [$($p:tt)*] [$($s:tt)*] lock $lock:literal $($rest:tt)*) => {
        sql!(@ [$($p)* $lock,] [$($s)*] $($rest)*)
    };
    (@ [$($p:tt)*] [$($s:tt)*] ids $n:literal $($rest:tt)*) => {
        sql!(@ [$($p)* "= any(", $n, ")",] [$($s)* "in (select unhex(value) from json_each(", $n, "))",] $($rest)*)
    };
    (@ [$($p:tt)*] [$($s:tt)*] any $n:literal $($rest:tt)*) => {
        sql!(@ [$($p)* "= any(", $n, ")",] [$($s)* "in (select value from json_each(", $n, "))",] $($rest)*)
    };
    (@ [$($p:tt)*] [$($s:tt)*] none $n:literal $($rest:tt)*) => {
        sql!(@ [$($p)* "<> all(", $n, ")",] [$($s)* "not in (select value from json_each(", $n, "))",] $($rest)*)
    };
    (@ [$($p:tt)*] [$($s:tt)*] join $($rest:tt)*) => {
        sql!(@ [$($p)* "join",] [$($s)* "cross join",] $($rest)*)
    };
    (@ [$($p:tt)*] [$($s:tt)*] $text:literal $($rest:tt)*) => {
        sql!(@ [$($p)* $text,] [$($s)* $text,] $($rest)*)
    };
    ($($text:tt)+) => { sql!(@ [] [] $($text)+) };
}
pub(in crate::store) use sql;

#[cfg(test)]
mod tests {
    #[test]
    fn each_database_gets_its_own_words() {
        let text = sql!("select 1 from a " join " b on b.id " ids "$1" " and b.n " ["<> 2" | "!= 2"] lock " for update");
        assert_eq!(
            text.postgres,
            "select 1 from a join b on b.id = any($1) and b.n <> 2 for update"
        );
        assert_eq!(
            text.sqlite,
            "select 1 from a cross join b on b.id in (select unhex(value) from json_each($1)) and b.n != 2"
        );
    }
}

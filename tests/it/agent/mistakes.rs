//! What an agent says of a database before it starts.

use super::{
    databases::{Kind, Shop, carry_out, on_all_databases},
    task,
};
use lacuna::domain::words::Outcome;

on_all_databases!(
    missing_tables_and_columns_are_errors,
    view_is_an_error,
    circle_of_foreign_keys_is_an_error,
    parent_that_refers_to_its_child_is_an_error,
    undeclared_child_that_refuses_is_an_error,
    undeclared_child_that_goes_along_is_a_warning,
    column_that_looks_personal_is_a_warning,
    column_without_an_index_is_a_warning,
    columns_that_cannot_be_anonymized_are_errors,
    refused_statement_is_a_failure_without_the_value,
    key_without_an_exact_text_is_an_error,
    join_of_different_kinds_is_an_error,
    anonymized_rows_that_refer_to_deleted_ones_are_an_error,
);

const PEOPLE: &str =
    "create table people (id bigint primary key, email varchar(100) not null, note varchar(10));
create unique index people_email on people (email);";

const DECLARED: &str = "[[sql.table]]\nname = 'people'\nmatch = { email = 'email' }\naction = 'delete'\n";

fn has(found: &[String], part: &str) {
    assert!(found.iter().any(|one| one.contains(part)), "{part}: {found:?}");
}

async fn missing_tables_and_columns_are_errors(shop: Shop) {
    shop.run(PEOPLE).await;
    let (errors, _) = shop
        .findings(
            "[[sql.table]]\nname = 'peeple'\nmatch = { email = 'email' }\naction = 'delete'\n\
             [[sql.table]]\nname = 'people'\nmatch = { mail = 'email' }\naction = 'delete'\n",
        )
        .await;
    has(&errors, "the table peeple does not exist");
    has(&errors, "the table people has no column mail");
}

async fn view_is_an_error(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("create view seen as select * from people").await;
    let (errors, _) = shop.findings(&DECLARED.replace("'people'", "'seen'")).await;
    has(&errors, "seen is a view");
}

async fn circle_of_foreign_keys_is_an_error(shop: Shop) {
    shop.run("create table a (id bigint primary key, email varchar(100), b_id bigint)")
        .await;
    shop.run("create table b (id bigint primary key, email varchar(100), a_id bigint, foreign key (a_id) references a (id))").await;
    if shop.kind == Kind::Sqlite {
        shop.run("drop table a; create table a (id bigint primary key, email varchar(100), b_id bigint references b (id))")
            .await;
    } else {
        shop.run("alter table a add foreign key (b_id) references b (id)")
            .await;
    }
    let both = ["a", "b"]
        .map(|name| DECLARED.replace("'people'", &format!("'{name}'")))
        .concat();
    let (errors, _) = shop.findings(&both).await;
    has(&errors, "round in a circle");
    has(&errors, "a, b");
}

async fn parent_that_refers_to_its_child_is_an_error(shop: Shop) {
    shop.run("create table places (id bigint primary key, street varchar(100))")
        .await;
    shop.run("create table people (id bigint primary key, email varchar(100), place bigint, foreign key (place) references places (id))")
        .await;
    let places = "[[sql.table]]\nname = 'places'\nthrough = { parent = 'people', column = 'id', parent_column = 'place' }\n\
                  action = 'delete'\n";
    let (errors, _) = shop.findings(&format!("{DECLARED}{places}")).await;
    has(&errors, "neither can go first");
}

async fn undeclared_child_that_refuses_is_an_error(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("create table notes (id bigint primary key, person bigint, foreign key (person) references people (id))").await;
    let (errors, _) = shop.findings(DECLARED).await;
    has(&errors, "the table notes is not declared and refers to people");
}

async fn undeclared_child_that_goes_along_is_a_warning(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("create table notes (id bigint primary key, person bigint, foreign key (person) references people (id) on delete cascade)").await;
    let (errors, warnings) = shop.findings(DECLARED).await;
    assert_eq!(errors, [""; 0]);
    has(
        &warnings,
        "the table notes is not declared: the database deletes its rows",
    );
}

async fn column_that_looks_personal_is_a_warning(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("create table newsletter (id bigint primary key, email varchar(100))")
        .await;
    let (errors, warnings) = shop.findings(DECLARED).await;
    assert_eq!(errors, [""; 0]);
    has(&warnings, "the table newsletter is not declared and has email");
}

async fn column_without_an_index_is_a_warning(shop: Shop) {
    shop.run("create table people (id bigint primary key, email varchar(100))")
        .await;
    let (errors, warnings) = shop.findings(DECLARED).await;
    assert_eq!(errors, [""; 0]);
    has(&warnings, "people.email has no index");
    assert!(shop.findings(DECLARED).await.1.len() == 1, "{warnings:?}");
}

async fn columns_that_cannot_be_anonymized_are_errors(shop: Shop) {
    shop.run(PEOPLE).await;
    let anonymize = |columns: &str| {
        DECLARED.replace("'delete'", &format!("{{ anonymize = {{ {columns} }} }}\n"))
            + "[sql.hmac]\nkey = 'env:KEY'\n"
    };
    for (columns, says) in [
        ("email = 'null'", "people.email cannot be null"),
        ("id = 'null'", "people.id is of the primary key"),
        (
            "note = { generalize = 'band:10' }",
            "people.note is no whole number",
        ),
        ("nothing = 'null'", "the table people has no column nothing"),
    ] {
        let (errors, _) = shop.findings(&anonymize(columns)).await;
        has(&errors, says);
    }
    if shop.kind != Kind::Sqlite {
        // SQLite has no lengths.
        let (errors, _) = shop.findings(&anonymize("note = 'hmac'")).await;
        has(&errors, "people.note has no room for a digest");
        let (errors, _) = shop
            .findings(&anonymize("note = { replace = 'much too long' }"))
            .await;
        has(&errors, "people.note is too short");
    }
    let (_, warnings) = shop.findings(&anonymize("note = 'null'")).await;
    has(&warnings, "people.email stays");
}

async fn refused_statement_is_a_failure_without_the_value(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("insert into people values (1, 'canary@example.org', 'x'), (2, 'removed', 'y')")
        .await;
    // Every person becomes the same, which the unique index refuses.
    let agent = shop
        .agent(&DECLARED.replace("'delete'", "{ anonymize = { email = { replace = 'removed' } } }"))
        .await;
    let answer = carry_out(&agent, task("erase", &[("email", "canary@example.org")])).await;
    assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
    let message = answer.message.unwrap();
    assert!(
        message.contains("people") && !message.contains("canary"),
        "{message}"
    );
    assert_eq!(
        shop.number("select count(*) from people where email = 'canary@example.org'")
            .await,
        1
    );
}

async fn key_without_an_exact_text_is_an_error(shop: Shop) {
    let (kind, rest) = match shop.kind {
        Kind::Postgres => ("bytea", ""),
        Kind::MariaDb => ("varbinary(16)", ""),
        Kind::Sqlite => ("BLOB", "without rowid"),
    };
    shop.run(&format!(
        "create table people (id {kind} primary key, email varchar(100)) {rest}"
    ))
    .await;
    let (errors, _) = shop
        .findings(&DECLARED.replace("'delete'", "{ anonymize = { email = 'null' } }"))
        .await;
    has(
        &errors,
        &format!("people.id of its primary key is of type {kind}"),
    );
}

async fn join_of_different_kinds_is_an_error(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("create table notes (id bigint primary key, person varchar(20))")
        .await;
    let notes = "[[sql.table]]\nname = 'notes'\nthrough = { parent = 'people', column = 'person', parent_column = 'id' }\naction = 'delete'\n";
    let (errors, _) = shop.findings(&format!("{DECLARED}{notes}")).await;
    has(&errors, "expected two of the same kind");
}

async fn anonymized_rows_that_refer_to_deleted_ones_are_an_error(shop: Shop) {
    shop.run(PEOPLE).await;
    shop.run("create table notes (id bigint primary key, person bigint, text varchar(20), foreign key (person) references people (id))")
        .await;
    let notes = |columns: &str| {
        format!(
            "{DECLARED}[[sql.table]]\nname = 'notes'\nthrough = {{ parent = 'people', column = 'person', parent_column = 'id' }}\n\
             action = {{ anonymize = {{ {columns} }} }}\n"
        )
    };
    let (errors, _) = shop.findings(&notes("text = 'null'")).await;
    has(
        &errors,
        "rows of notes stay, anonymized, and refer to rows of people",
    );
    let (errors, _) = shop.findings(&notes("text = 'null', person = 'null'")).await;
    assert_eq!(errors, [""; 0]);
}

//! Nothing is said to be gone that was not seen to go: rows that are written meanwhile, that refuse, that others refer to.

use std::time::Duration;

use lacuna::{
    agent::{Answer, Place as _, Turn, sql::Database},
    domain::words::Outcome,
};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::{
    databases::{Kind, Shop, carry_out, on_all_databases},
    erasing::{SCHEMA, TABLES, filled, tables},
    message, read, task,
};

on_all_databases!(
    row_that_refuses_to_go_is_a_failure,
    row_that_other_categories_refer_to_is_retained,
    row_that_younger_data_refers_to_is_retained,
    older_data_of_younger_rows_goes,
    value_that_looks_like_a_digest_is_anonymized,
    lost_answer_is_said_again,
    same_address_in_capital_letters_is_found,
    many_rows_of_other_categories_are_walked_through,
    key_of_several_columns_tells_rows_apart,
    rows_of_other_categories_do_not_go_along,
    what_is_theirs_goes_in_whatever_order,
    rows_of_others_do_not_go_along,
);

/// A person who is to be erased.
fn erase(customer: &str) -> lacuna::agent::Task {
    task("erase", &[("email", customer)])
}

fn one(answers: Vec<Answer>) -> Answer {
    answers.into_iter().next().unwrap()
}

/// Rows of a table that the database keeps without an error.
async fn refuse_silently(shop: &Shop, table: &str) {
    let script = match shop.kind {
        Kind::Postgres => format!(
            "create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
             create trigger keep before delete on {table} for each row execute function keep()"
        ),
        Kind::Sqlite => {
            format!("create trigger keep before delete on {table} begin select raise(ignore); end")
        }
        Kind::MariaDb => format!(
            "create trigger keep before delete on {table} for each row signal sqlstate '45000' set message_text = 'kept'"
        ),
    };
    shop.run(&script).await;
}

async fn row_that_refuses_to_go_is_a_failure(shop: Shop) {
    filled(&shop, 2).await;
    refuse_silently(&shop, "order_items").await;
    let agent = shop.agent(TABLES).await;
    let answer = carry_out(&agent, erase("p1@example.org")).await;
    assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
    assert!(answer.message.unwrap().contains("order_items"));
    assert_eq!(shop.rows("users").await, 2);
}

async fn row_that_other_categories_refer_to_is_retained(shop: Shop) {
    filled(&shop, 2).await;
    let agent = shop.agent(TABLES).await;
    let mut limited = message("erase", &[("email", "p1@example.org")]);
    limited["scope"]["categories"] = json!(["profile"]);
    let answer = carry_out(&agent, read(&limited)).await;
    assert_eq!(answer.outcome, Outcome::Retained, "{answer:?}");
    let (basis, until, categories) = answer.retained.unwrap();
    assert_eq!(basis.as_str(), "referred_to_by_other_data");
    assert!(until.is_some(), "it is looked at again");
    assert_eq!(categories[0].as_str(), "profile");
    assert!(answer.message.unwrap().contains("rows of users stay"));
    assert_eq!((shop.rows("users").await, shop.rows("orders").await), (2, 4));
    // Whoever has no orders goes.
    shop.run("insert into users (id, email) values (77, 'p77@example.org')")
        .await;
    let mut other = message("erase", &[("email", "p77@example.org")]);
    other["scope"]["categories"] = json!(["profile"]);
    assert_eq!(carry_out(&agent, read(&other)).await.outcome, Outcome::Erased);
    limited["scope"]["categories"] = json!(["profile", "orders"]);
    let answer = carry_out(&agent, read(&limited)).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!((shop.rows("users").await, shop.rows("orders").await), (1, 2));
}

async fn row_that_younger_data_refers_to_is_retained(shop: Shop) {
    filled(&shop, 2).await;
    shop.run("update orders set created_at = '2026-11-30 00:00:00' where id = 3")
        .await;
    let dated = TABLES.replace(
        "category = \"orders\"\n",
        "category = \"orders\"\ncollected_at = \"created_at\"\n",
    );
    let agent = shop.agent(&dated).await;
    let both = [erase("p1@example.org"), erase("p2@example.org")];
    let answers = agent.carry_out(&both, &Turn::default()).await;
    assert_eq!(
        (answers[0].outcome, answers[1].outcome),
        (Outcome::Retained, Outcome::Erased),
        "{answers:?}"
    );
    assert_eq!(
        answers[0].evidence.as_ref().unwrap().by_table,
        tables(&[("orders", 1), ("order_items", 3)]),
        "what is older went"
    );
    assert_eq!(shop.number("select id from orders").await, 3);
    assert_eq!((shop.rows("users").await, shop.rows("order_items").await), (1, 3));
}

async fn older_data_of_younger_rows_goes(shop: Shop) {
    filled(&shop, 1).await;
    shop.run("alter table users add column seen_at timestamp null")
        .await;
    shop.run("update users set seen_at = '2026-11-30 00:00:00'").await;
    let dated = TABLES
        .replace(
            "category = \"profile\"\n",
            "category = \"profile\"\ncollected_at = \"seen_at\"\n",
        )
        .replace(
            "category = \"orders\"\n",
            "category = \"orders\"\ncollected_at = \"created_at\"\n",
        );
    let agent = shop.agent(&dated).await;
    let verified = carry_out(&agent, task("verify", &[("email", "p1@example.org")])).await;
    assert_eq!(verified.outcome, Outcome::Present);
    let answer = carry_out(&agent, erase("p1@example.org")).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(
        answer.evidence.unwrap().by_table,
        tables(&[("orders", 2), ("order_items", 6)])
    );
    assert_eq!((shop.rows("users").await, shop.rows("orders").await), (1, 0));
}

const PSEUDONYMOUS: &str = r#"
hmac = { key = "env:KEY" }
[[sql.table]]
name = "users"
match = { email = "email" }
action = { anonymize = { customer_id = "hmac" } }
"#;

async fn value_that_looks_like_a_digest_is_anonymized(shop: Shop) {
    filled(&shop, 1).await;
    let real = "ab".repeat(32);
    shop.run(&format!("update users set customer_id = '{real}'"))
        .await;
    let agent = shop.agent(PSEUDONYMOUS).await;
    let count = format!("select count(*) from users where customer_id = '{real}'");
    for changed in [1, 0] {
        let answer = carry_out(&agent, erase("p1@example.org")).await;
        assert_eq!(answer.outcome, Outcome::Anonymized, "{answer:?}");
        assert_eq!(answer.evidence.unwrap().records, changed, "and once only");
        assert_eq!(shop.number(&count).await, 0);
    }
}

async fn lost_answer_is_said_again(shop: Shop) {
    filled(&shop, 1).await;
    let hidden = "[[sql.table]]\nname = 'users'\nmatch = { email = 'email' }\naction = { anonymize = { email = 'null' } }\n";
    let agent = shop.agent(hidden).await;
    let mut first = message("erase", &[("email", "p1@example.org")]);
    let answer = carry_out(&agent, read(&first)).await;
    assert_eq!(answer.outcome, Outcome::Anonymized, "{answer:?}");
    first["attempt"] = json!(2);
    let again = carry_out(&agent, read(&first)).await;
    let counted = |answer: &Answer| answer.evidence.as_ref().unwrap().by_table.clone();
    assert_eq!(
        (again.outcome, counted(&again)),
        (Outcome::Anonymized, counted(&answer))
    );
    // After a restart nothing is remembered, and nothing is found.
    let restarted = shop.agent(hidden).await;
    let again = carry_out(&restarted, read(&first)).await;
    assert_eq!(again.outcome, Outcome::Anonymized, "{again:?}");
    assert_eq!(again.evidence.unwrap().records, 0);
    let nobody = carry_out(&restarted, erase("nobody@example.org")).await;
    assert_eq!(nobody.outcome, Outcome::NotFound);
}

async fn same_address_in_capital_letters_is_found(shop: Shop) {
    let lax = match shop.kind {
        Kind::Sqlite => "email varchar(200) collate nocase",
        Kind::Postgres | Kind::MariaDb => "email varchar(200)",
    };
    shop.run(&format!("create table people (id bigint primary key, {lax})"))
        .await;
    shop.run("insert into people values (1, 'ÄNN@example.org')").await;
    let agent = shop
        .agent("[[sql.table]]\nname = 'people'\nmatch = { email = 'email' }\naction = 'delete'\n")
        .await;
    let answer = carry_out(&agent, erase("ÄNN@example.org")).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(shop.rows("people").await, 0);
}

async fn many_rows_of_other_categories_are_walked_through(shop: Shop) {
    shop.run(SCHEMA).await;
    let users: Vec<String> = (1..=40)
        .rev()
        .map(|n| format!("({n}, 'p@example.org')"))
        .collect();
    shop.run(&format!(
        "insert into users (id, email) values {}",
        users.join(", ")
    ))
    .await;
    let orders: Vec<String> = (1..=40).map(|n| format!("({n}, {n}, 1)")).collect();
    shop.run(&format!(
        "insert into orders (id, user_id, total) values {}",
        orders.join(", ")
    ))
    .await;
    let agent = shop.agent(&format!("chunk = 7\n{TABLES}")).await;
    let mut limited = message("erase", &[("email", "p@example.org")]);
    limited["scope"]["categories"] = json!(["orders"]);
    let answer = carry_out(&agent, read(&limited)).await;
    assert_eq!(answer.evidence.unwrap().by_table, tables(&[("orders", 40)]));
    assert_eq!((shop.rows("users").await, shop.rows("orders").await), (40, 0));
}

async fn key_of_several_columns_tells_rows_apart(shop: Shop) {
    let rest = if shop.kind == Kind::Sqlite {
        "without rowid"
    } else {
        ""
    };
    shop.run(&format!(
        "create table seats (hall varchar(20) not null, place int not null, price decimal(10, 2) not null, email varchar(100), \
         primary key (hall, place, price)) {rest}"
    ))
    .await;
    shop.run("insert into seats values ('a', 1, 1.50, 'x@example.org'), ('a', 2, 1.50, 'y@example.org'), ('b', 1, 1.50, 'x@example.org')")
        .await;
    let declared = "[[sql.table]]\nname = 'seats'\nmatch = { email = 'email' }\naction = 'delete'\n";
    if shop.kind == Kind::Sqlite {
        // Its decimals are floating-point numbers.
        let (errors, _) = shop.findings(declared).await;
        assert!(errors[0].contains("seats.price of its primary key"), "{errors:?}");
        return;
    }
    let agent = shop.agent(declared).await;
    let answer = carry_out(&agent, erase("x@example.org")).await;
    assert_eq!(answer.evidence.unwrap().records, 2, "of {:?}", shop.kind);
    let left = "select count(*) from seats where place = 2";
    assert_eq!((shop.number(left).await, shop.rows("seats").await), (1, 1));
}

async fn rows_of_other_categories_do_not_go_along(shop: Shop) {
    shop.run("create table people (id bigint primary key, email varchar(100))")
        .await;
    shop.run("create table bills (id bigint primary key, email varchar(100), person bigint, foreign key (person) references people (id) on delete cascade)")
        .await;
    shop.run("insert into people values (1, 'a@example.org'), (2, 'b@example.org')")
        .await;
    shop.run("insert into bills values (1, 'a@example.org', 1)").await;
    let table = |name: &str| {
        format!(
            "[[sql.table]]\nname = '{name}'\nmatch = {{ email = 'email' }}\ncategory = '{name}'\naction = 'delete'\n"
        )
    };
    let agent = shop.agent(&[table("people"), table("bills")].concat()).await;
    for (who, outcome) in [("a", Outcome::Retained), ("b", Outcome::Erased)] {
        let mut limited = message("erase", &[("email", &format!("{who}@example.org"))]);
        limited["scope"]["categories"] = json!(["people"]);
        let answer = carry_out(&agent, read(&limited)).await;
        assert_eq!(answer.outcome, outcome, "{answer:?}");
    }
    assert_eq!((shop.rows("people").await, shop.rows("bills").await), (1, 1));
}

/// `people`, and `bills` and `replies` that refer to them and go with them.
async fn cascading(shop: &Shop) -> Database {
    shop.run("create table people (id bigint primary key, email varchar(100))")
        .await;
    shop.run("create table bills (id bigint primary key, email varchar(100), person bigint, foreign key (person) references people (id) on delete cascade)")
        .await;
    shop.run("create table replies (id bigint primary key, email varchar(100), parent bigint, foreign key (parent) references replies (id) on delete cascade)")
        .await;
    shop.run("insert into people values (1, 'a@example.org'), (2, 'b@example.org')")
        .await;
    shop.run("insert into bills values (1, 'a@example.org', 1)").await;
    let table = |name: &str| {
        format!("[[sql.table]]\nname = '{name}'\nmatch = {{ email = 'email' }}\naction = 'delete'\n")
    };
    let declared = [table("people"), table("bills"), table("replies")].concat();
    shop.agent(&declared).await
}

async fn what_is_theirs_goes_in_whatever_order(shop: Shop) {
    let agent = cascading(&shop).await;
    let answer = agent.carry_out(&[erase("a@example.org")], &Turn::default()).await;
    assert_eq!(answer[0].outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(
        answer[0].evidence.as_ref().unwrap().records,
        2,
        "each row is counted"
    );
    assert_eq!((shop.rows("people").await, shop.rows("bills").await), (1, 0));
}

async fn rows_of_others_do_not_go_along(shop: Shop) {
    let agent = cascading(&shop).await;
    shop.run("insert into bills values (2, 'b@example.org', 1)").await;
    shop.run("insert into replies values (1, 'a@example.org', null), (2, 'b@example.org', 1), (3, 'a@example.org', null), (4, 'a@example.org', 3)")
        .await;
    let answer = agent.carry_out(&[erase("a@example.org")], &Turn::default()).await;
    assert_eq!(answer[0].outcome, Outcome::Retained, "{answer:?}");
    assert_eq!((shop.rows("people").await, shop.rows("bills").await), (2, 1));
    assert_eq!(
        shop.number("select count(*) from replies where email = 'b@example.org'")
            .await,
        1
    );
    assert_eq!(shop.rows("replies").await, 2, "what nobody has answered went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_that_is_written_meanwhile_goes_too() {
    let shop = Shop::open(Kind::Postgres).await;
    filled(&shop, 1).await;
    let agent = shop.agent(TABLES).await;
    let mut other = PgConnection::connect(&shop.url).await.unwrap();
    let mut writing = other.begin().await.unwrap();
    sqlx::query("update order_items set order_id = order_id")
        .execute(&mut *writing)
        .await
        .unwrap();
    let tasks = [erase("p1@example.org")];
    let turn = Turn::default();
    let working = agent.carry_out(&tasks, &turn);
    let committing = async {
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let began = lacuna::clock::Stopwatch::start();
        while shop.number(waits).await == 0 {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the agent waits for the row"
            );
        }
        writing.commit().await.unwrap();
    };
    let (answers, ()) = tokio::join!(working, committing);
    let answer = one(answers);
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(
        answer.evidence.unwrap().by_table,
        tables(&[("users", 1), ("orders", 2), ("order_items", 6)])
    );
    assert_eq!(shop.rows("order_items").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_inherit_are_each_searched_for_themselves() {
    let shop = Shop::open(Kind::Postgres).await;
    shop.run("create table visits (id bigint primary key, email text); create table old_visits () inherits (visits);")
        .await;
    // The same places in both files.
    shop.run("insert into visits values (1, 'a@example.org'), (2, 'b@example.org');")
        .await;
    shop.run("insert into old_visits values (1, 'b@example.org'), (2, 'a@example.org');")
        .await;
    let visits = "[[sql.table]]\nname = 'visits'\nmatch = { email = 'email' }\naction = 'delete'\n";
    let (errors, _) = shop.findings(visits).await;
    assert!(
        errors[0].contains("old_visits is not declared and inherits from visits"),
        "{errors:?}"
    );
    let both = format!("{visits}{}", visits.replace("'visits'", "'old_visits'"));
    let agent = shop.agent(&both).await;
    let answer = carry_out(&agent, erase("a@example.org")).await;
    assert_eq!(
        answer.evidence.unwrap().by_table,
        tables(&[("visits", 1), ("old_visits", 1)])
    );
    let left = "select count(*) from visits where email = 'b@example.org'";
    assert_eq!((shop.number(left).await, shop.rows("visits").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_searched_as_one_table() {
    let shop = Shop::open(Kind::Postgres).await;
    shop.run(
        "create table visits (id bigint, place int, email text, primary key (id, place)) partition by list (place);
         create table visits_1 partition of visits for values in (1); create table visits_2 partition of visits for values in (2);
         insert into visits values (1, 1, 'a@example.org'), (1, 2, 'b@example.org'), (2, 2, 'a@example.org');",
    )
    .await;
    let agent = shop
        .agent("[[sql.table]]\nname = 'visits'\nmatch = { email = 'email' }\naction = 'delete'\n")
        .await;
    let answer = carry_out(&agent, erase("a@example.org")).await;
    assert_eq!(answer.evidence.unwrap().records, 2);
    let left = "select count(*) from visits where email = 'b@example.org'";
    assert_eq!((shop.number(left).await, shop.rows("visits").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_user_cannot_see_are_an_error() {
    let shop = Shop::open(Kind::Postgres).await;
    let role = crate::support::unique("r");
    shop.run(&format!(
        "create table people (id bigint primary key, email text); alter table people enable row level security;
         create role {role} login password 'p'; grant select, delete on people to {role};"
    ))
    .await;
    let (server, database) = shop.url.rsplit_once('@').unwrap();
    let scheme = server.split_once("://").unwrap().0;
    let as_role = Shop {
        url: format!("{scheme}://{role}:p@{database}"),
        ..Shop::open(Kind::Postgres).await
    };
    let (errors, _) = as_role
        .findings("[[sql.table]]\nname = 'people'\nmatch = { email = 'email' }\naction = 'delete'\n")
        .await;
    shop.run(&format!("drop owned by {role}; drop role {role}")).await;
    assert!(errors[0].contains("row-level security"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_that_sqlite_cannot_read_is_a_failure() {
    let shop = Shop::open(Kind::Sqlite).await;
    shop.run("create table visits (id integer primary key, email text, at datetime, number integer)")
        .await;
    shop.run("insert into visits values (1, 'a@example.org', 1700000000, 1), (2, 'b@example.org', '2026-01-01 00:00:00', 1)")
        .await;
    let visits = |column: &str| {
        format!(
            "[[sql.table]]\nname = 'visits'\nmatch = {{ email = 'email' }}\ncollected_at = '{column}'\naction = 'delete'\n"
        )
    };
    let agent = shop.agent(&visits("at")).await;
    for action in ["erase", "verify"] {
        let answer = carry_out(&agent, task(action, &[("email", "a@example.org")])).await;
        assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
        assert!(
            answer
                .message
                .unwrap()
                .contains("visits.at has something that is no time")
        );
    }
    assert_eq!(
        carry_out(&agent, erase("b@example.org")).await.outcome,
        Outcome::Erased
    );
    let (errors, _) = shop.findings(&visits("number")).await;
    assert!(
        errors[0].contains("visits.number is of type INTEGER"),
        "{errors:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_deletes_more_than_a_chunk() {
    let shop = Shop::open(Kind::Postgres).await;
    filled(&shop, 1).await;
    shop.run(
        "insert into orders (id, user_id, total) select n, 1, 1 from generate_series(1000, 20999) n;
         create table watched (tx bigint, rows bigint);
         create function watch() returns trigger language plpgsql as $$
           begin insert into watched select txid_current(), count(*) from gone; return null; end $$;
         create trigger watch after delete on orders referencing old table as gone for each statement execute function watch();",
    )
    .await;
    let agent = shop.agent(&format!("chunk = 500\n{TABLES}")).await;
    let answer = carry_out(&agent, erase("p1@example.org")).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(answer.evidence.unwrap().by_table["orders"], 20_002);
    let most = "select max(rows)::bigint from (select sum(rows) as rows from watched group by tx) of";
    assert_eq!(shop.number(most).await, 500);
    assert_eq!(shop.number("select sum(rows)::bigint from watched").await, 20_002);
}

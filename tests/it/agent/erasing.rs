//! What goes from a database, and what stays.

use std::collections::BTreeMap;

use lacuna::{
    agent::{Place as _, Turn},
    domain::words::Outcome,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    databases::{Kind, Shop, carry_out, on_all_databases},
    message, read, task,
};

on_all_databases!(
    rows_of_a_person_go_with_what_belongs_to_them,
    many_tasks_are_carried_out_together_and_counted_apart,
    chunks_are_small_and_all_goes,
    anonymized_columns_name_nobody_any_more,
    too_few_alike_is_no_anonymity,
    categories_limit_what_goes,
    younger_rows_stay_where_the_column_is_declared,
    verify_counts_and_changes_nothing,
    values_are_never_a_part_of_a_statement,
    identifier_that_is_no_number_matches_no_number,
    others_that_look_alike_stay,
    stopped_task_is_partial_and_goes_on_later,
    dry_run_counts_and_changes_nothing,
    key_of_a_backup_is_not_destroyed_by_deleting_rows,
);

pub const SCHEMA: &str = "
create table users (id bigint primary key, email varchar(200), customer_id varchar(2000), name varchar(100), born date, zip varchar(20), age int);
create index users_email on users (email);
create table orders (id bigint primary key, user_id bigint not null, total int, created_at timestamp null,
    foreign key (user_id) references users (id));
create index orders_user on orders (user_id);
create table order_items (id bigint primary key, order_id bigint not null, foreign key (order_id) references orders (id));
create index order_items_order on order_items (order_id);
";

pub const TABLES: &str = r#"
[[sql.table]]
name = "users"
match = { email = "email" }
category = "profile"
action = "delete"
[[sql.table]]
name = "orders"
through = { parent = "users", column = "user_id", parent_column = "id" }
category = "orders"
action = "delete"
[[sql.table]]
name = "order_items"
through = { parent = "orders", column = "order_id", parent_column = "id" }
action = "delete"
"#;

/// So many people, each with two orders of three items.
pub async fn filled(shop: &Shop, people: i64) {
    shop.run(SCHEMA).await;
    let (mut users, mut orders, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..=people {
        users.push(format!(
            "({n}, 'p{n}@example.org', 'c{n}', 'Person {n}', '1980-05-17', '10115', 37)"
        ));
        for order in 0..2 {
            let order = n * 2 + order;
            orders.push(format!("({order}, {n}, 5, '2026-01-01 00:00:00')"));
            items.extend((0..3).map(|item| format!("({}, {order})", order * 3 + item)));
        }
    }
    for (table, rows) in [("users", users), ("orders", orders), ("order_items", items)] {
        shop.run(&format!("insert into {table} values {}", rows.join(", ")))
            .await;
    }
}

pub fn tables(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter()
        .map(|(name, rows)| ((*name).to_owned(), *rows))
        .collect()
}

async fn rows_of_a_person_go_with_what_belongs_to_them(shop: Shop) {
    filled(&shop, 3).await;
    let agent = shop.agent(TABLES).await;
    let answer = carry_out(
        &agent,
        task("erase", &[("email", "p2@example.org"), ("phone", "+4930")]),
    )
    .await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    let evidence = answer.evidence.unwrap();
    assert_eq!(
        evidence.by_table,
        tables(&[("users", 1), ("orders", 2), ("order_items", 6)])
    );
    assert_eq!(evidence.records, 9);
    assert_eq!(evidence.method.as_deref(), Some("delete"));
    assert!(evidence.digest.unwrap().starts_with("sha256:"));
    let by_category: Vec<(String, u64)> = evidence
        .by_category
        .iter()
        .map(|(category, rows)| (category.to_string(), *rows))
        .collect();
    assert_eq!(by_category, [("orders".to_owned(), 8), ("profile".to_owned(), 1)]);
    assert_eq!(
        (
            shop.rows("users").await,
            shop.rows("orders").await,
            shop.rows("order_items").await
        ),
        (2, 4, 12)
    );
    let again = carry_out(&agent, task("erase", &[("email", "p2@example.org")])).await;
    assert_eq!(again.outcome, Outcome::NotFound);
}

async fn many_tasks_are_carried_out_together_and_counted_apart(shop: Shop) {
    filled(&shop, 40).await;
    let agent = shop.agent(TABLES).await;
    let mut tasks: Vec<_> = (1..=30)
        .map(|n| task("erase", &[("email", &format!("p{n}@example.org"))]))
        .collect();
    tasks.push(task("erase", &[("email", "nobody@example.org")]));
    let answers = agent.carry_out(&tasks, &Turn::default()).await;
    for answer in &answers[..30] {
        assert_eq!(answer.outcome, Outcome::Erased);
        assert_eq!(answer.evidence.as_ref().unwrap().records, 9);
    }
    assert_eq!(answers[30].outcome, Outcome::NotFound);
    assert_eq!(shop.rows("order_items").await, 60);
}

async fn chunks_are_small_and_all_goes(shop: Shop) {
    filled(&shop, 1).await;
    let rows: Vec<String> = (1000..1500).map(|n| format!("({n}, 1, 5, null)")).collect();
    shop.run(&format!("insert into orders values {}", rows.join(", ")))
        .await;
    let agent = shop.agent(&format!("chunk = 7\n{TABLES}")).await;
    let answer = carry_out(&agent, task("erase", &[("email", "p1@example.org")])).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(
        answer.evidence.unwrap().by_table,
        tables(&[("users", 1), ("orders", 502), ("order_items", 6)])
    );
    assert_eq!((shop.rows("users").await, shop.rows("orders").await), (0, 0));
}

const ANONYMIZED: &str = r#"
hmac = { key = "env:KEY" }
[[sql.table]]
name = "users"
match = { email = "email" }
action = { anonymize = { email = "null", customer_id = "hmac", name = { replace = "removed" }, born = { generalize = "year" }, zip = { generalize = "prefix:3" }, age = { generalize = "band:10" } } }
"#;

async fn anonymized_columns_name_nobody_any_more(shop: Shop) {
    filled(&shop, 2).await;
    let agent = shop.agent(ANONYMIZED).await;
    let answer = carry_out(&agent, task("erase", &[("email", "p1@example.org")])).await;
    assert_eq!(answer.outcome, Outcome::Anonymized, "{answer:?}");
    assert_eq!(
        answer.evidence.as_ref().unwrap().by_table,
        tables(&[("users", 1)])
    );
    assert_eq!(answer.evidence.unwrap().method.as_deref(), Some("anonymize"));
    let changed = "select count(*) from users where id = 1 and email is null and name = 'removed' and zip = '101' and age = 30 \
                   and born = '1980-01-01' and length(customer_id) = 64";
    assert_eq!(shop.number(changed).await, 1);
    let other = "select count(*) from users where id = 2 and email = 'p2@example.org' and name = 'Person 2' and zip = '10115'";
    assert_eq!(shop.number(other).await, 1);
}

async fn too_few_alike_is_no_anonymity(shop: Shop) {
    filled(&shop, 3).await;
    shop.run("update users set zip = '99999' where id = 3").await;
    let agent = shop
        .agent(&format!(
            "{ANONYMIZED}k_anonymity = {{ columns = ['zip', 'born'], k = 2 }}\n"
        ))
        .await;
    let tasks = [task("anonymize", &[("email", "p3@example.org")])];
    let lonely = agent.carry_out(&tasks, &Turn::default()).await.remove(0);
    assert_eq!(lonely.outcome, Outcome::Failed, "{lonely:?}");
    assert!(lonely.message.unwrap().contains("zip, born"));
    assert_eq!(
        shop.number("select count(*) from users where email = 'p3@example.org'")
            .await,
        1,
        "it is left as it was"
    );
    let both = [
        task(
            "anonymize",
            &[("email", "p1@example.org"), ("email", "p2@example.org")],
        ),
        task("anonymize", &[("email", "p3@example.org")]),
    ];
    let answers = agent.carry_out(&both, &Turn::default()).await;
    assert_eq!(
        answers[0].outcome,
        Outcome::Anonymized,
        "one that fails fails alone: {:?}",
        answers[0]
    );
    assert_eq!(answers[1].outcome, Outcome::Failed);
}

async fn categories_limit_what_goes(shop: Shop) {
    filled(&shop, 2).await;
    let agent = shop.agent(TABLES).await;
    let mut limited = message("erase", &[("email", "p1@example.org")]);
    limited["scope"]["categories"] = json!(["orders"]);
    let answer = carry_out(&agent, read(&limited)).await;
    assert_eq!(
        answer.evidence.unwrap().by_table,
        tables(&[("orders", 2), ("order_items", 6)])
    );
    assert_eq!((shop.rows("users").await, shop.rows("orders").await), (2, 2));
    limited["scope"]["categories"] = json!(["invoices"]);
    let answer = carry_out(&agent, read(&limited)).await;
    assert_eq!(answer.outcome, Outcome::NotFound);
}

async fn younger_rows_stay_where_the_column_is_declared(shop: Shop) {
    filled(&shop, 1).await;
    shop.run("update orders set created_at = '2026-11-30 00:00:00' where id = 3")
        .await;
    let dated = TABLES.replace(
        "category = \"orders\"\n",
        "category = \"orders\"\ncollected_at = \"created_at\"\n",
    );
    let agent = shop.agent(&dated).await;
    let mut orders = message("erase", &[("email", "p1@example.org")]);
    orders["scope"]["categories"] = json!(["orders"]);
    let answer = carry_out(&agent, read(&orders)).await;
    assert_eq!(
        answer.evidence.unwrap().by_table,
        tables(&[("orders", 1), ("order_items", 3)])
    );
    assert_eq!(shop.number("select id from orders").await, 3);
}

async fn verify_counts_and_changes_nothing(shop: Shop) {
    filled(&shop, 2).await;
    let agent = shop.agent(TABLES).await;
    let both = [
        task("verify", &[("email", "p1@example.org")]),
        task("verify", &[("email", "nobody@example.org")]),
    ];
    let answers = agent.carry_out(&both, &Turn::default()).await;
    assert_eq!(
        (answers[0].outcome, answers[1].outcome),
        (Outcome::Present, Outcome::Absent)
    );
    assert_eq!(shop.rows("order_items").await, 12);
    carry_out(&agent, task("erase", &[("email", "p1@example.org")])).await;
    let after = carry_out(&agent, task("verify", &[("email", "p1@example.org")])).await;
    assert_eq!(after.outcome, Outcome::Absent);
    let hidden = shop.agent(ANONYMIZED).await;
    carry_out(&hidden, task("erase", &[("email", "p2@example.org")])).await;
    let after = carry_out(&hidden, task("verify", &[("email", "p2@example.org")])).await;
    assert_eq!(after.outcome, Outcome::Absent, "what is anonymized is nobody's");
}

async fn values_are_never_a_part_of_a_statement(shop: Shop) {
    filled(&shop, 3).await;
    let tables = TABLES.replace(
        "match = { email = \"email\" }",
        "match = { customer_id = \"customer_id\" }",
    );
    let agent = shop.agent(&tables).await;
    let long = "x".repeat(1024 * 1024);
    for value in [
        "' or '1'='1",
        "\" or \"1\"=\"1",
        "c1'; drop table users; --",
        "%",
        "c_",
        "\\",
        "`",
        "c1\0",
        "\0",
        "",
        " c1",
        "c1 ",
        "C1",
        long.as_str(),
    ] {
        let answer = carry_out(&agent, task("erase", &[("customer_id", value)])).await;
        assert_eq!(
            answer.outcome,
            Outcome::NotFound,
            "{:?}",
            &value[..value.len().min(20)]
        );
        assert_eq!(shop.rows("users").await, 3, "{:?}", &value[..value.len().min(20)]);
    }
    shop.run("update users set customer_id = 'it''s %' where id = 1")
        .await;
    let answer = carry_out(&agent, task("erase", &[("customer_id", "it's %")])).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    assert_eq!(shop.rows("users").await, 2);
}

async fn identifier_that_is_no_number_matches_no_number(shop: Shop) {
    filled(&shop, 3).await;
    let tables = TABLES.replace(
        "match = { email = \"email\" }",
        "match = { id = \"customer_id\" }",
    );
    let agent = shop.agent(&tables).await;
    for value in [
        "1x",
        "one",
        "01",
        "+1",
        " 1",
        "1.0",
        "1e0",
        "99999999999999999999999",
        "-",
    ] {
        let answer = carry_out(&agent, task("erase", &[("customer_id", value)])).await;
        assert_eq!(answer.outcome, Outcome::NotFound, "{value}");
    }
    assert_eq!(shop.rows("users").await, 3);
    let answer = carry_out(
        &agent,
        task("erase", &[("customer_id", "2"), ("customer_id", "x")]),
    )
    .await;
    assert_eq!(answer.evidence.unwrap().by_table["users"], 1);
    assert_eq!(shop.number("select count(*) from users where id = 2").await, 0);
}

async fn others_that_look_alike_stay(shop: Shop) {
    filled(&shop, 2).await;
    shop.run("update users set customer_id = 'José' where id = 1")
        .await;
    shop.run("update users set customer_id = 'Jose' where id = 2")
        .await;
    let tables = TABLES.replace(
        "match = { email = \"email\" }",
        "match = { customer_id = \"customer_id\" }",
    );
    let agent = shop.agent(&tables).await;
    let answer = carry_out(&agent, task("erase", &[("customer_id", "Jose")])).await;
    assert_eq!(answer.evidence.unwrap().by_table["users"], 1);
    assert_eq!(shop.number("select id from users").await, 1);
    let answer = carry_out(&agent, task("erase", &[("customer_id", "jose")])).await;
    assert_eq!(answer.outcome, Outcome::NotFound);
}

async fn stopped_task_is_partial_and_goes_on_later(shop: Shop) {
    filled(&shop, 1).await;
    let agent = shop.agent(TABLES).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let one = task("erase", &[("email", "p1@example.org")]);
    let stopped = agent
        .carry_out(std::slice::from_ref(&one), &Turn::until(&stop))
        .await
        .remove(0);
    assert_eq!(
        (stopped.outcome, stopped.retry_after_seconds),
        (Outcome::Partial, Some(0))
    );
    assert_eq!(shop.rows("users").await, 1);
    assert_eq!(carry_out(&agent, one).await.outcome, Outcome::Erased);
}

async fn dry_run_counts_and_changes_nothing(shop: Shop) {
    filled(&shop, 2).await;
    let agent = shop.agent(TABLES).await;
    let said = agent
        .rehearse(&task("erase", &[("email", "p1@example.org")]))
        .await
        .unwrap();
    for line in [
        "-- users: 1 rows would be deleted",
        "-- orders: 2 rows",
        "-- order_items: 6 rows",
        "-- 9 rows in all; nothing was changed",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("p1@example.org"), "{said}");
    assert_eq!(shop.rows("order_items").await, 12);
}

async fn key_of_a_backup_is_not_destroyed_by_deleting_rows(shop: Shop) {
    filled(&shop, 1).await;
    let agent = shop.agent(TABLES).await;
    let mut by_key = message("erase", &[("email", "p1@example.org")]);
    by_key["method"] = json!("crypto_erase");
    let answer = carry_out(&agent, read(&by_key)).await;
    assert_eq!(answer.outcome, Outcome::Unsupported);
    assert_eq!(shop.rows("users").await, 1);
}

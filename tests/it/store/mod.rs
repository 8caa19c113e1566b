//! The suite that both stores pass, and what each of them has to do besides.

mod agenda;
mod capsules;
mod dead_letters;
mod deferred;
mod expiry;
mod facts;
pub mod fixture;
mod gauges;
mod journal;
mod lists;
mod merged;
mod older;
mod outcomes;
mod positions;
mod postgres;
mod postgres_facts;
mod races;
mod reports;
mod requests;
mod rows;
mod schema;
mod sessions;
mod sqlite;
mod statements;
mod sweeps;
mod trying;

/// Makes two tests of each case: one a store.
macro_rules! on_both_stores {
    ($($module:ident::$case:ident as $name:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::fixture::on_postgres(super::$module::$case).await;
            })+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::fixture::on_sqlite(super::$module::$case).await;
            })+
        }
    };
}

on_both_stores! {
    requests::are_read_back as requests_are_read_back,
    requests::are_paged_by_id as requests_are_paged_by_id,
    requests::are_found_by_their_subject as requests_are_found_by_their_subject,
    requests::are_of_tenants_that_are_known as requests_are_of_tenants_that_are_known,
    requests::of_another_revision_are_not_written as requests_of_another_revision_are_not_written,
    requests::keep_no_key_once_shredded as requests_keep_no_key_once_shredded,
    requests::are_gone_without_a_commit as requests_are_gone_without_a_commit,
    requests::come_in_any_number as requests_come_in_any_number,
    reports::read_requests_by_their_receipt as reports_read_requests_by_their_receipt,
    reports::read_leaves_of_many_requests as reports_read_leaves_of_many_requests,
    reports::know_how_many_are_forgotten as reports_know_how_many_are_forgotten,
    reports::know_when_the_newest_list_was_taken_in as reports_know_when_the_newest_list_was_taken_in,
    agenda::gives_what_is_due_earliest_first as the_agenda_gives_what_is_due_earliest_first,
    agenda::follows_its_requests as the_agenda_follows_its_requests,
    journal::leaves_are_read_back_in_order as leaves_are_read_back_in_order,
    journal::a_position_fences_a_zombie as a_position_fences_a_zombie,
    journal::a_fenced_batch_leaves_nothing as a_fenced_batch_leaves_nothing,
    journal::what_was_seen_never_moves_back as what_was_seen_never_moves_back,
    journal::how_acks_are_spread_is_known_until_one_does_not_agree as how_acks_are_spread_is_known_until_one_does_not_agree,
    journal::the_inbox_takes_a_command_once as the_inbox_takes_a_command_once,
    journal::counters_of_all_slots_are_summed as counters_of_all_slots_are_summed,
    dead_letters::dead_letters_are_kept_once_an_origin as dead_letters_are_kept_once_an_origin,
    dead_letters::dead_letters_are_closed_once as dead_letters_are_closed_once,
    dead_letters::dead_letters_say_which_command_they_were as dead_letters_say_which_command_they_were,
    dead_letters::the_payload_of_a_dead_letter_goes_with_the_decision_about_it as the_payload_of_a_dead_letter_goes_with_the_decision_about_it,
    dead_letters::old_payloads_go_unless_they_ask_for_an_erasure as old_payloads_go_unless_they_ask_for_an_erasure,
    dead_letters::the_oldest_of_too_many_letters_are_counted as the_oldest_of_too_many_letters_are_counted,
    gauges::open_letters_are_counted_whatever_way_they_come_and_go as open_letters_are_counted_whatever_way_they_come_and_go,
    journal::what_was_taken_in_is_found_again as what_was_taken_in_is_found_again,
    journal::the_outbox_keeps_the_highest_revision as the_outbox_keeps_the_highest_revision,
    positions::that_went_back_are_not_jumped_over as positions_that_went_back_are_not_jumped_over,
    positions::remember_the_last_record_and_a_checked_one as positions_remember_the_last_record_and_a_checked_one,
    positions::follow_another_log_once_it_is_accepted as positions_follow_another_log_once_it_is_accepted,
    positions::of_another_log_have_other_messages as positions_of_another_log_have_other_messages,
    facts::are_read_back_in_order as facts_are_read_back_in_order,
    facts::of_the_same_key_conflict as facts_of_the_same_key_conflict,
    facts::without_a_commit_leave_nothing as facts_without_a_commit_leave_nothing,
    facts::of_several_workers_have_no_gaps as facts_of_several_workers_have_no_gaps,
    facts::name_subjects_that_are_found as facts_name_subjects_that_are_found,
    facts::activate_a_registry_once as a_registry_is_activated_once,
    facts::replaced_fact_changes_chain_of_all_that_follow as replaced_fact_changes_chain_of_all_that_follow,
    facts::older_facts_are_chained_from_the_start as older_facts_are_chained_from_the_start,
    outcomes::are_summed_by_minutes_and_hours as outcomes_are_summed_by_minutes_and_hours,
    outcomes::forget_minutes_of_which_nothing_is_out as outcomes_forget_minutes_of_which_nothing_is_out,
    sessions::are_seen_and_ended as sessions_are_seen_and_ended,
    sessions::are_forgotten_when_their_time_is_over as sessions_are_forgotten_when_their_time_is_over,
    sweeps::are_taken_up_where_they_stopped as sweeps_are_taken_up_where_they_stopped,
    sweeps::walk_what_is_open as sweeps_walk_what_is_open,
    sweeps::walk_what_is_held_or_deferred as sweeps_walk_what_is_held_or_deferred,
    sweeps::walk_what_is_asked_about as sweeps_walk_what_is_asked_about,
    sweeps::walk_what_has_a_capsule as sweeps_walk_what_has_a_capsule,
    sweeps::walk_long_lists as sweeps_walk_long_lists,
    deferred::tasks_are_written_over_and_resumed as deferred_tasks_are_written_over_and_resumed,
    deferred::tasks_are_listed_by_date as deferred_tasks_are_listed_by_date,
    deferred::tasks_are_counted_by_date as deferred_tasks_are_counted_by_date,
    capsules::have_the_key_of_their_epoch as capsules_have_the_key_of_their_epoch,
    capsules::take_the_place_of_older_ones as capsules_take_the_place_of_older_ones,
    capsules::are_gone_with_their_key as capsules_are_gone_with_their_key,
    lists::are_walked_in_either_direction as lists_are_walked_in_either_direction,
    lists::are_walked_in_the_order_of_receipt as lists_are_walked_in_the_order_of_receipt,
    lists::are_sifted_by_the_database as lists_are_sifted_by_the_database,
    lists::are_filled_in_after_an_earlier_version as lists_are_filled_in_after_an_earlier_version,
    lists::of_what_is_parked_are_filled_in_too as lists_of_what_is_parked_are_filled_in_too,
    lists::are_never_read_as_a_whole as lists_are_never_read_as_a_whole,
    lists::of_bulk_jobs_are_each_owned_by_one as bulk_jobs_are_each_owned_by_one,
    expiry::lines_give_the_oldest_first as lines_give_the_oldest_first,
    expiry::a_line_is_shared_by_two_workers as a_line_is_shared_by_two_workers,
    expiry::digests_go_and_leave_the_request as digests_go_and_leave_the_request,
    expiry::a_purged_request_leaves_its_leaves as a_purged_request_leaves_its_leaves,
    merged::no_wake_up_outlives_a_purge_that_came_first as no_wake_up_outlives_a_purge_that_came_first,
    merged::no_wake_up_outlives_a_purge_that_came_second as no_wake_up_outlives_a_purge_that_came_second,
    expiry::the_suppressed_are_found_by_many_digests_at_once as the_suppressed_are_found_by_many_digests_at_once,
    expiry::last_words_stay_until_they_are_confirmed as last_words_stay_until_they_are_confirmed,
    races::every_writer_of_a_row_has_its_effect as every_writer_of_a_row_has_its_effect,
    races::one_of_two_openers_wins as one_of_two_openers_wins,
    trying::a_lost_race_is_tried_again_with_locks as a_lost_race_is_tried_again_with_locks,
    trying::what_never_succeeds_is_given_up as what_never_succeeds_is_given_up,
    trying::what_is_refused_is_not_tried_again as what_is_refused_is_not_tried_again,
    schema::a_store_without_migrations_is_refused as a_store_without_migrations_is_refused,
    schema::a_store_of_a_later_version_is_refused as a_store_of_a_later_version_is_refused,
    schema::an_altered_migration_is_refused as an_altered_migration_is_refused,
}

//! Transactions: on the embedded cluster in both versions of the protocol, and on the cluster that `ROKA_TEST_BROKERS`
//! names, if there is one (what needs faults is then left out).
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod endings;
mod faults;
mod misuse;
mod offsets;
mod support;
mod versions;

macro_rules! on_both_levels {
    ($($module:ident::$name:ident($partitions:expr);)*) => {
        mod level_1 {$(
            #[tokio::test]
            async fn $name() {
                crate::$module::$name(crate::support::Place::new(1, $partitions).await).await;
            }
        )*}
        mod level_2 {$(
            #[tokio::test]
            async fn $name() {
                crate::$module::$name(crate::support::Place::new(2, $partitions).await).await;
            }
        )*}
    };
}

on_both_levels! {
    endings::a_commit_is_seen_and_an_abort_is_not(2);
    endings::many_transactions_in_a_row(3);
    endings::a_transaction_without_anything_asks_nobody(1);
    endings::a_transaction_that_is_dropped_is_aborted(1);
    endings::records_of_an_aborted_transaction_are_told(1);
    endings::a_second_producer_ends_the_first_and_what_it_left(1);
    endings::a_zombie_that_sends_is_fenced(1);
    endings::a_commit_that_nobody_waits_for_takes_place_all_the_same(1);
    misuse::records_need_a_transaction(1);
    misuse::one_transaction_at_a_time_and_each_ends_once(1);
    misuse::a_configuration_that_cannot_work_is_refused(1);
    offsets::positions_go_with_the_transaction(1);
    offsets::who_is_no_member_any_more_commits_nothing(1);
    offsets::positions_of_a_topic_that_is_not_there_can_be_given_up(1);
    faults::what_passes_at_a_coordinator_is_waited_for(2);
    faults::an_end_without_an_answer_is_asked_for_again(1);
    faults::coordinators_and_leaders_move(2);
    faults::a_failure_of_records_aborts_and_the_next_transaction_goes_on(1);
    faults::fenced_at_any_step_is_the_end(1);
    faults::a_transaction_waits_for_the_one_before_to_be_completed(1);
    faults::every_input_counts_once_while_brokers_come_and_go(2);
    versions::the_level_may_change_between_transactions(1);
    versions::every_release_that_has_transactions(1);
}

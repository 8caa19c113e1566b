-- What a position remembers of its log, so that another log under the same name is noticed: the last record that was taken in
-- (last_*) and an older one that was compared with the log since (checked_*). The digests are keyed: records hold identifiers.
-- incarnation: which log it is; `lacuna positions accept` goes on with the next one. stray: the offset of a message below the
-- position that the store does not know.
alter table position
    add column incarnation    integer not null default 0,
    add column last_offset    bigint,
    add column last_at        bigint,
    add column last_digest    bytea,
    add column checked_offset bigint,
    add column checked_at     bigint,
    add column checked_digest bytea,
    add column stray          bigint;

-- The same offset of another log is another message.
alter table dead_letter add column incarnation integer not null default 0;
alter table dead_letter drop constraint dead_letter_cluster_topic_part_off_key;
alter table dead_letter add constraint dead_letter_origin unique (cluster, topic, part, off, incarnation);
alter table early_command add column incarnation integer not null default 0;
alter table early_command drop constraint early_command_pkey;
alter table early_command add primary key (cluster, topic, part, off, incarnation);

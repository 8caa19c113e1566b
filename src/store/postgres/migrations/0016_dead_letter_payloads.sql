-- What is kept of a message that was refused: its payload goes when somebody has redriven or closed the letter, or after
-- vault.dead_letters_keep, and how much of it is kept of each topic is bounded.

-- How many sealed bytes the row keeps, so that they are summed without being read. Null: none, or none any more.
alter table dead_letter add column size bigint;
-- The ids inside the message by which upstream's lists name it, 16 bytes each: its payload goes before its row does.
alter table dead_letter add column ids bytea;
update dead_letter set sealed = null, headers = null where state <> 0;
update dead_letter set size = octet_length(sealed) + coalesce(octet_length(headers), 0) where sealed is not null;
create index dead_letter_kept on dead_letter (at, topic, size) where size is not null;
-- Open letters that ask for no erasure: of each topic so many are kept, and the oldest go.
create index dead_letter_bounded on dead_letter (topic, id)
    where state = 0 and (kind is null or kind not in ('erase', 'anonymize'));

-- Letters whose rows went because their topic had too many: what is left of them is that they were.
create table dead_letter_dropped (
    topic  text   not null,
    reason text   not null,
    count  bigint not null,
    since  bigint not null,
    until  bigint not null,
    primary key (topic, reason)
);

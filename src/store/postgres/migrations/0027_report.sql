-- How many requests were forgotten, by the hour in which they were received and by the status that they had ended with: once
-- their rows are gone, this is what a report of their period can still say. Written with the deletion, in batches.
create table forgotten (
    hour   bigint   not null,
    tenant text     not null,
    regime text     not null,
    status smallint not null,
    n      bigint   not null,
    primary key (hour, tenant, regime, status)
);

-- California's deletion lists that were taken in: the next one is due 45 days after the newest.
create table drop_fetch (
    broker text   not null,
    day    text   not null,
    kind   text   not null,
    n      bigint not null,
    at     bigint not null,
    primary key (broker, day, kind)
);

-- A report reads the requests of a time by this index, which knows nothing of blocks that were filled since the last vacuum: on
-- a table that only grows these may be a fifth of it. From now on each range of blocks is summarised once it is full.
alter index request_received_at set (autosummarize = on);
select brin_summarize_new_values('request_received_at'::regclass);

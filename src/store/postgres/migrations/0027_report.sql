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

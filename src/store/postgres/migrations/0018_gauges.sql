-- What gauges show is found by a key or in a few rows: they are read all the time, and by every worker.

-- When the oldest request that is not closed was received. All requests of a transaction have the same time, so that its
-- entries share one, at the right edge.
create index agenda_received_at on agenda (received_at);

-- The oldest open dead letter of each reason and command.
create index dead_letter_open_at on dead_letter (reason, coalesce(kind, ''), at) where state = 0;

-- How many open dead letters there are, by reason and command, in slots, so that workers do not wait for each other. The
-- table itself keeps the count: a letter comes, is closed and goes in several ways, and the same one may come again.
create table open_letter (
    slot   smallint not null,
    reason text     not null,
    kind   text     not null,
    n      bigint   not null,
    primary key (slot, reason, kind)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

insert into open_letter (slot, reason, kind, n)
    select 0, reason, coalesce(kind, ''), count(*) from dead_letter where state = 0 group by reason, coalesce(kind, '');

-- A statement's letters are counted at once, in order of their keys.
create function count_open_letters() returns trigger language plpgsql as $$
declare
    own constant smallint := pg_backend_pid() % 64;
begin
    if tg_op = 'INSERT' then
        insert into open_letter as o (slot, reason, kind, n)
            select own, reason, coalesce(kind, ''), count(*) from come where state = 0
            group by reason, coalesce(kind, '') order by reason, coalesce(kind, '')
            on conflict (slot, reason, kind) do update set n = o.n + excluded.n;
    elsif tg_op = 'DELETE' then
        insert into open_letter as o (slot, reason, kind, n)
            select own, reason, coalesce(kind, ''), -count(*) from gone where state = 0
            group by reason, coalesce(kind, '') order by reason, coalesce(kind, '')
            on conflict (slot, reason, kind) do update set n = o.n + excluded.n;
    else
        insert into open_letter as o (slot, reason, kind, n)
            select own, reason, kind, sum(n) from (
                select reason, coalesce(kind, '') as kind, 1 as n from come where state = 0
                union all
                select reason, coalesce(kind, ''), -1 from gone where state = 0) as changed
            group by reason, kind having sum(n) <> 0 order by reason, kind
            on conflict (slot, reason, kind) do update set n = o.n + excluded.n;
    end if;
    return null;
end
$$;
create trigger dead_letter_comes after insert on dead_letter
    referencing new table as come for each statement execute function count_open_letters();
create trigger dead_letter_changes after update on dead_letter
    referencing old table as gone new table as come for each statement execute function count_open_letters();
create trigger dead_letter_goes after delete on dead_letter
    referencing old table as gone for each statement execute function count_open_letters();

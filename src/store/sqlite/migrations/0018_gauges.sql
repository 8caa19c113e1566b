-- What gauges show is found by a key or in a few rows. See PostgreSQL's migration of this number.

create index agenda_received_at on agenda (received_at);

create index dead_letter_open_at on dead_letter (reason, coalesce(kind, ''), at) where state = 0;

create table open_letter (
    reason text    not null,
    kind   text    not null,
    n      integer not null,
    primary key (reason, kind)
) strict, without rowid;

insert into open_letter (reason, kind, n)
    select reason, coalesce(kind, ''), count(*) from dead_letter where state = 0 group by reason, coalesce(kind, '');

create trigger dead_letter_comes after insert on dead_letter when new.state = 0 begin
    insert into open_letter (reason, kind, n) values (new.reason, coalesce(new.kind, ''), 1)
        on conflict (reason, kind) do update set n = n + 1;
end;
create trigger dead_letter_opens after update of state on dead_letter when old.state <> 0 and new.state = 0 begin
    insert into open_letter (reason, kind, n) values (new.reason, coalesce(new.kind, ''), 1)
        on conflict (reason, kind) do update set n = n + 1;
end;
create trigger dead_letter_closes after update of state on dead_letter when old.state = 0 and new.state <> 0 begin
    update open_letter set n = n - 1 where reason = old.reason and kind = coalesce(old.kind, '');
end;
create trigger dead_letter_goes after delete on dead_letter when old.state = 0 begin
    update open_letter set n = n - 1 where reason = old.reason and kind = coalesce(old.kind, '');
end;

-- See PostgreSQL's migration of this number.

alter table agenda add column parked integer not null default 0;
drop index agenda_received_at;
create index agenda_parked on agenda (parked, received_at);

update listed set after_id = null, done = not exists (select 1 from agenda);

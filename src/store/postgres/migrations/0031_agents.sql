-- A lane whose agent asks for its tasks is run by no worker, so its rate is kept here: up to when it is used up, in microseconds since
-- 1970.
alter table lane add column pace bigint not null default 0;

-- Who is signed in to the console. Only a digest of what the browser has is kept, so that whoever reads this table is not signed in
-- by it. A row goes when its time is over or somebody signs out.
create table console_session (
    digest  bytea  primary key,
    started bigint not null,
    seen    bigint not null,
    ends    bigint not null,
    holder  text   not null
);
create index console_session_ends on console_session (ends);

-- Who is signed in to the console. Only a digest of what the browser has is kept, so that whoever reads this table is not signed in
-- by it. A row goes when its time is over or somebody signs out.
create table console_session (
    digest  blob    primary key,
    started integer not null,
    seen    integer not null,
    ends    integer not null,
    holder  text    not null
) strict, without rowid;
create index console_session_ends on console_session (ends);

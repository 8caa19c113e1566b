-- Requests that were merged into another one, by that one. They have no rows in `subject`: they are found by those of the
-- request that covers them, so that whoever floods the topic with requests of one person makes no list of theirs long.
-- One that stands alone again has a row there instead of here.
create table merged (
    leader     uuid not null,
    request_id uuid not null,
    primary key (leader, request_id)
);

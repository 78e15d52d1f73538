REVOKE SELECT (age) ON users FROM ann;
ALTER TABLE theirs ADD a int;
ALTER TABLE users ADD a int;
DROP INDEX users_age; CREATE INDEX j ON users (age, email)
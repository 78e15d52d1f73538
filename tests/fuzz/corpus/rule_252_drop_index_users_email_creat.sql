DROP INDEX users_email; CREATE INDEX j ON users (age);
ALTER TABLE lookup ADD a int; CREATE INDEX i ON users (age);
ALTER TABLE users ADD a int; CREATE INDEX i ON lookup (label);
TRUNCATE users CASCADE
#include "lint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "diastole/sql/analysis.hpp"
#include "pasted_form.hpp"
#include "rules.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::Finding;
using core::Phase;
using core::Severity;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> rules_found(std::string_view sql, Phase phase,
                                     const core::CatalogSnapshot* catalog = nullptr) {
  const auto findings = lint(sql, phase, catalog);
  if (!findings) return {findings.error().message};
  std::vector<std::string> rules;
  for (const Finding& finding : *findings) {
    rules.push_back(finding.rule + (finding.severity == Severity::warning ? " (warning)" : ""));
  }
  return rules;
}

Finding found(std::string_view rule, std::string_view sql, Phase phase = Phase::expand,
              const core::CatalogSnapshot* catalog = nullptr) {
  const auto findings = lint(sql, phase, catalog);
  if (findings) {
    for (const Finding& finding : *findings) {
      if (finding.rule == rule) return finding;
    }
  }
  ADD_FAILURE() << sql << ": " << fmt::format("{}", fmt::join(rules_found(sql, phase, catalog), ", "));
  return {};
}

// One line a step: "contract: sql: …".
std::string safe_form(const Finding& finding) {
  std::string text;
  for (const core::SafeStep& step : finding.safe_form) {
    if (!text.empty()) text += '\n';
    if (step.phase) text += std::string(to_string(*step.phase)) + ": ";
    if (step.form != core::SafeStep::Form::sql) text += std::string(to_string(step.form)) + ": ";
    text += step.text;
  }
  return text;
}

// A statement that breaks a rule in expand, what contract says of it ("" for nothing), and a near twin that does not
// break it.
struct Case {
  std::string_view rule;
  std::string_view caught;
  std::string_view in_contract;
  std::string_view twin;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.rule << ": " << one.caught;
}

constexpr std::string_view kSame = "same";
constexpr std::string_view kNothing = "";
constexpr std::string_view kOnlyWarning = "warning";
constexpr std::string_view kAdvice = "advice";  // a warning in every phase
constexpr std::string_view kDoubt = "doubt";    // a warning in expand

const Case kCases[] = {
    {"syntax-error", "DROP TABEL t", kSame, "DROP TABLE t"},
    {"transaction-nesting", "COMMIT", kSame, "SELECT 'COMMIT'"},
    {"transaction-nesting", "BEGIN; SELECT 1; COMMIT", kSame, "SELECT 1; SELECT 2"},
    {"ban-uncommitted-transaction", "BEGIN; SELECT 1", kSame, "BEGIN; SELECT 1; COMMIT"},
    {"transaction-nesting", "SAVEPOINT a", kSame, "ALTER TABLE t ADD COLUMN savepoint int"},
    {"unanalysable-statement", "DO $$ BEGIN END $$", kSame,
     "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$"},
    {"unanalysable-statement", "COPY t FROM STDIN", kSame, "INSERT INTO t VALUES (1)"},
    {"unanalysable-statement", "SELECT app.migrate_all()", kSame, "SELECT pg_catalog.now(), count(*) FROM t"},
    {"unanalysable-statement", "UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 1", kSame,
     "UPDATE app.pg_attribute SET attnotnull = true WHERE id = 1"},
    {"ban-concurrent-index-creation-in-transaction", "SELECT 1; DROP INDEX CONCURRENTLY i", kSame,
     "DROP INDEX CONCURRENTLY i"},
    {"require-index-name", "CREATE INDEX CONCURRENTLY ON t (a)", kSame, "CREATE INDEX CONCURRENTLY i ON t (a)"},
    {"one-concurrent-drop", "DROP INDEX CONCURRENTLY i, j", kSame, "DROP INDEX CONCURRENTLY i"},
    {"require-lock-timeout", "SET LOCAL lock_timeout = 0", kSame, "SET LOCAL deadlock_timeout = '1s'"},
    {"require-statement-timeout", "SET statement_timeout = 0", kSame, "SET LOCAL work_mem = '1GB'"},
    {"managed-setting", "RESET ALL", kSame, "RESET work_mem"},
    {"managed-setting", "SET ROLE r", kSame, "ALTER ROLE r NOLOGIN"},
    {"managed-setting", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", kSame, "SET CONSTRAINTS ALL DEFERRED"},
    {"managed-setting", "SELECT set_config('search_path', 'x', false)", kSame,
     "SELECT set_config('work_mem', '1GB', true)"},
    {"managed-setting", "SELECT pg_catalog.set_config(x, '', true) FROM t", kSame,
     "SELECT current_setting('search_path')"},
    {"ban-drop-database", "DROP DATABASE d", kSame, "CREATE DATABASE d"},
    {"ban-drop-column", "ALTER TABLE t DROP COLUMN a", kNothing, "ALTER TABLE t ALTER COLUMN a DROP DEFAULT"},
    {"ban-drop-table", "DROP TABLE t", kNothing, "CREATE TABLE t (a int); DROP TABLE t"},
    {"ban-drop-object", "DROP FUNCTION f()", kNothing, "ALTER FUNCTION f() COST 1"},
    {"ban-drop-object", "DROP TRIGGER g ON t", kNothing, "CREATE TABLE t (a int); DROP TRIGGER g ON t"},
    {"ban-drop-schema", "DROP SCHEMA s", kNothing, "CREATE SCHEMA s"},
    {"ban-drop-object", "DROP VIEW v", kNothing, "CREATE OR REPLACE VIEW v AS SELECT 1 AS a"},
    {"ban-drop-object", "DROP TYPE e", kNothing, "COMMENT ON TYPE e IS 'x'"},
    {"ban-truncate", "TRUNCATE t", kNothing, "CREATE TABLE t (a int); TRUNCATE t"},
    {"renaming-column", "ALTER TABLE t RENAME a TO b", kNothing, "ALTER TABLE t RENAME CONSTRAINT a TO b"},
    {"renaming-table", "ALTER TABLE t RENAME TO u", kNothing, "ALTER INDEX i RENAME TO j"},
    {"renaming-table", "ALTER TABLE t SET SCHEMA s", kNothing, "ALTER TABLE t SET (fillfactor = 70)"},
    {"renaming-schema", "ALTER SCHEMA a RENAME TO b", kNothing, "ALTER SCHEMA a OWNER TO r"},
    {"renaming-enum-value", "ALTER TYPE e RENAME VALUE 'a' TO 'b'", kNothing, "ALTER TYPE e ADD VALUE 'b'"},
    {"renaming-object", "ALTER FUNCTION f() RENAME TO g", kNothing, "ALTER TRIGGER f ON t RENAME TO g"},
    {"ban-drop-cascade", "ALTER TABLE t DROP CONSTRAINT c CASCADE", kSame, "ALTER TABLE t DROP CONSTRAINT c"},
    {"changing-column-type", "ALTER TABLE t ALTER a TYPE text", kOnlyWarning, "ALTER TABLE t ALTER a SET DEFAULT ''"},
    {"adding-not-nullable-field", "ALTER TABLE t ALTER a SET NOT NULL", kOnlyWarning,
     "ALTER TABLE t ALTER a DROP NOT NULL"},
    {"adding-required-field", "ALTER TABLE t ADD a int NOT NULL", kSame, "ALTER TABLE t ADD a int NOT NULL DEFAULT 0"},
    {"adding-required-field", "ALTER TABLE t ADD a int NOT NULL DEFAULT NULL", kSame,
     "ALTER TABLE t ADD a int DEFAULT NULL"},
    {"adding-field-with-default", "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()", kSame,
     "ALTER TABLE t ADD a timestamptz DEFAULT now()"},
    {"adding-field-with-default", "ALTER TABLE t ADD a float DEFAULT 1 + random()", kSame,
     "ALTER TABLE t ADD a int[] NOT NULL DEFAULT ARRAY[1, 2]::int[]"},
    {"adding-serial-field", "ALTER TABLE t ADD a bigserial", kSame, "ALTER TABLE t ADD a bigint"},
    {"adding-serial-field", "ALTER TABLE t ADD a int GENERATED ALWAYS AS IDENTITY", kSame,
     "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)"},
    {"adding-generated-field", "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) STORED", kSame,
     "CREATE TABLE t (b int); ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) STORED"},
    {"table-rewrite", "ALTER TABLE t SET UNLOGGED", kSame, "ALTER TABLE t SET (autovacuum_enabled = false)"},
    {"require-concurrent-index-creation", "CREATE INDEX i ON t (a)", kSame,
     "CREATE TABLE public.t (a int); CREATE INDEX i ON t (a)"},
    {"require-concurrent-index-creation", "CREATE TABLE IF NOT EXISTS t (a int); CREATE INDEX i ON t (a)", kSame,
     "CREATE TABLE t (a int); CREATE INDEX i ON t (a)"},
    {"require-concurrent-index-deletion", "DROP INDEX i", kSame, "DROP INDEX CONCURRENTLY i"},
    {"require-concurrent-reindex", "REINDEX TABLE t", kSame, "REINDEX TABLE CONCURRENTLY t"},
    {"require-concurrent-partition-detach", "ALTER TABLE t DETACH PARTITION p", kSame,
     "ALTER TABLE t DETACH PARTITION p CONCURRENTLY"},
    {"constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", kSame,
     "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"},
    {"adding-foreign-key-constraint", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o", kSame,
     "CREATE TABLE t (a int); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o"},
    {"adding-foreign-key-constraint", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o", kSame,
     "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o NOT VALID"},
    {"adding-foreign-key-constraint", "ALTER TABLE t ADD a int DEFAULT 1 REFERENCES o", kSame,
     "CREATE TABLE t (a int DEFAULT 1 REFERENCES o)"},
    // There is no value to look for.
    {"adding-foreign-key-constraint", "ALTER TABLE t ADD a int DEFAULT NULL REFERENCES o", kSame,
     "ALTER TABLE t ADD a int REFERENCES o"},
    {"ban-alter-domain-with-add-constraint", "ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0)", kSame,
     "ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0) NOT VALID"},
    {"disallowed-unique-constraint", "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)", kSame,
     "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i"},
    {"adding-serial-primary-key-field", "ALTER TABLE t ADD PRIMARY KEY (a)", kSame,
     "ALTER TABLE t ADD PRIMARY KEY USING INDEX i"},
    {"adding-exclusion-constraint", "ALTER TABLE t ADD EXCLUDE USING gist (a WITH =)", kSame,
     "CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =))"},
    {"unbatched-dml", "UPDATE t SET a = 1 WHERE b = 2", kSame, "UPDATE t SET a = 1 WHERE id IN (1, 2) AND b = 2"},
    {"unbatched-dml", "DELETE FROM t WHERE id > 7", kSame, "DELETE FROM t WHERE t.id = 7"},
    {"unbatched-dml", "DELETE FROM t WHERE id = 7 OR true", kSame,
     "CREATE TABLE t (id int); DELETE FROM t WHERE id > 1"},
    {"dml-without-where", "DELETE FROM t", kSame, "CREATE TABLE t (id int); DELETE FROM t"},
    {"dml-without-where", "UPDATE t SET a = 1", kSame, "UPDATE t SET a = 1 WHERE id = 1"},
    {"unbatched-dml", "WITH x AS (UPDATE t SET a = 1 WHERE b = 2 RETURNING *) SELECT * FROM x", kSame,
     "SELECT * FROM t"},
    {"ban-vacuum-full", "VACUUM FULL t", kSame, "VACUUM t"},
    {"ban-vacuum-full", "CLUSTER t", kSame, "ALTER TABLE t CLUSTER ON i"},
    {"ban-drop-cascade", "DROP TABLE t CASCADE", kSame, "CREATE TABLE t (a int); DROP TABLE t CASCADE"},
    {"ban-truncate-cascade", "TRUNCATE t CASCADE", kSame, "TRUNCATE t"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID", kNothing,
     "ALTER TABLE t ADD COLUMN a int; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"},
    {"check-breaks-old-writers",
     "ALTER TABLE t ADD COLUMN a int; ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID", kNothing,
     "ALTER TABLE t ADD COLUMN a int; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"},
    {"check-breaks-old-writers", "ALTER DOMAIN d ADD CHECK (value > 0) NOT VALID", kNothing,
     "ALTER DOMAIN d DROP CONSTRAINT c"},
    {"constraint-on-old-writers", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", kDoubt,
     "ALTER TABLE t ADD COLUMN a int; CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o NOT VALID", kDoubt,
     "ALTER TABLE t ADD COLUMN a int; ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o NOT VALID"},
    {"detaching-partition", "ALTER TABLE t DETACH PARTITION p CONCURRENTLY", kNothing,
     "ALTER TABLE t ATTACH PARTITION p DEFAULT"},
    {"creating-rule", "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", kNothing,
     "CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING"},
    {"disabling-trigger", "ALTER TABLE t DISABLE TRIGGER g", kNothing, "ALTER TABLE t ENABLE TRIGGER g"},
    {"ban-lock-table", "LOCK TABLE t", kSame, "LOCK TABLE t IN ROW EXCLUSIVE MODE"},
    {"ban-drop-column", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int; ALTER TABLE t DROP COLUMN a", kNothing,
     "ALTER TABLE t ADD COLUMN a int; ALTER TABLE t DROP COLUMN a"},
    {"ban-drop-table", "CREATE TEMP TABLE t (a int); DROP TABLE t", kNothing, "CREATE TABLE t (a int); DROP TABLE t"},
    {"enabling-row-security", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", kNothing, "CREATE POLICY p ON t USING (true)"},
    {"revoking-privileges", "REVOKE SELECT ON t FROM r", kNothing, "GRANT SELECT ON t TO r"},
    {"column-revoke-without-effect", "REVOKE SELECT (a) ON t FROM r", kAdvice, "REVOKE SELECT ON t FROM r"},
    {"revoking-privileges", "REVOKE a FROM b", kNothing, "GRANT a TO b"},
    {"revoking-privileges", "REVOKE SELECT ON t FROM r", kNothing, "CREATE TABLE t (a int); REVOKE SELECT ON t FROM r"},
    {"revoking-privileges", "ALTER GROUP g DROP USER u", kNothing, "ALTER GROUP g ADD USER u"},
    {"revoking-privileges", "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM r", kDoubt,
     "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r"},
    {"changing-policy", "ALTER POLICY p ON t USING (false)", kNothing, "ALTER POLICY p ON t RENAME TO q"},
    {"changing-policy", "CREATE POLICY p ON t AS RESTRICTIVE USING (a > 0)", kNothing,
     "CREATE POLICY p ON t USING (a > 0)"},
    {"changing-policy", "ALTER POLICY p ON t TO r", kNothing,
     "CREATE TABLE t (a int); CREATE POLICY p ON t; ALTER POLICY p ON t TO r"},
    {"changing-policy", "CREATE POLICY q ON t; ALTER POLICY p ON t TO r", kNothing,
     "CREATE POLICY p ON t; ALTER POLICY p ON t TO r"},
    {"changing-owner", "ALTER TABLE t OWNER TO r", kNothing, "CREATE TABLE t (a int); ALTER TABLE t OWNER TO r"},
    {"changing-owner", "ALTER SEQUENCE s OWNER TO r", kNothing, "ALTER INDEX i OWNER TO r"},
    {"changing-owner", "ALTER SCHEMA s OWNER TO r", kNothing, "CREATE SCHEMA s AUTHORIZATION r"},
    {"changing-owner", "ALTER FUNCTION f() OWNER TO r", kDoubt, "ALTER FUNCTION f() STABLE"},
    {"changing-owner", "ALTER SEQUENCE s OWNER TO r", kNothing, "CREATE SEQUENCE s; ALTER SEQUENCE s OWNER TO r"},
    {"changing-owner", "CREATE FUNCTION f(int) RETURNS int LANGUAGE c; ALTER FUNCTION f() OWNER TO r", kDoubt,
     "CREATE FUNCTION f() RETURNS int LANGUAGE c; ALTER FUNCTION f() OWNER TO r"},
    {"changing-owner", "ALTER SCHEMA s OWNER TO r", kNothing, "CREATE SCHEMA s; ALTER SCHEMA s OWNER TO r"},
    {"changing-owner", "REASSIGN OWNED BY a TO b", kNothing, "GRANT b TO a"},
    {"restricting-role", "ALTER ROLE r NOLOGIN", kNothing, "ALTER ROLE r LOGIN"},
    {"restricting-role", "ALTER ROLE r NOSUPERUSER", kNothing, "ALTER ROLE r SUPERUSER INHERIT BYPASSRLS"},
    {"restricting-role", "ALTER USER r PASSWORD 'x'", kNothing, "CREATE ROLE r PASSWORD 'x'"},
    {"restricting-role", "ALTER ROLE r CONNECTION LIMIT 0", kDoubt, "ALTER ROLE r CONNECTION LIMIT -1 LOGIN"},
    {"restricting-role", "ALTER ROLE r CONNECTION LIMIT 5", kDoubt, "ALTER ROLE r CONNECTION LIMIT -1"},
    {"restricting-role", "ALTER ROLE r VALID UNTIL '2027-01-01'", kDoubt, "ALTER ROLE r VALID UNTIL 'infinity'"},
    {"restricting-role", "ALTER ROLE r NOCREATEDB", kDoubt, "ALTER ROLE r CREATEDB"},
    {"changing-settings", "ALTER ROLE r SET search_path = s", kNothing, "CREATE ROLE r"},
    {"changing-settings", "ALTER DATABASE d RESET ALL", kNothing, "RESET work_mem"},
    {"changing-settings", "ALTER DATABASE d SET work_mem = '1GB'", kDoubt, "SET work_mem = '1GB'"},
    {"changing-settings", "ALTER SYSTEM SET work_mem = '1GB'", kDoubt, "SHOW work_mem"},
    {"generated-always", "ALTER TABLE t ALTER a SET GENERATED ALWAYS", kNothing,
     "ALTER TABLE t ALTER a SET GENERATED BY DEFAULT"},
    {"generated-always", "ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", kNothing,
     "ALTER TABLE t ALTER a ADD GENERATED BY DEFAULT AS IDENTITY"},
    {"generated-always", "ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", kNothing,
     "ALTER TABLE t ADD a int; ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY"},
    {"changing-sequence", "ALTER SEQUENCE s RESTART", kNothing, "ALTER SEQUENCE s OWNED BY NONE"},
    {"changing-sequence", "ALTER SEQUENCE s RESTART", kNothing, "CREATE SEQUENCE s; ALTER SEQUENCE s RESTART"},
    {"changing-sequence", "ALTER SEQUENCE s RESTART WITH 7", kDoubt, "ALTER SEQUENCE s START WITH 7"},
    {"changing-sequence", "ALTER SEQUENCE s MAXVALUE 9", kDoubt, "ALTER SEQUENCE s NO MAXVALUE NO MINVALUE"},
    {"changing-sequence", "ALTER SEQUENCE s MINVALUE 9", kDoubt, "ALTER SEQUENCE s CACHE 9"},
    {"changing-sequence", "ALTER SEQUENCE s INCREMENT 2", kDoubt, "CREATE SEQUENCE s INCREMENT 2"},
    {"changing-sequence", "ALTER SEQUENCE s CYCLE", kDoubt, "ALTER SEQUENCE s NO CYCLE"},
    {"changing-sequence", "ALTER SEQUENCE s AS int", kDoubt, "ALTER SEQUENCE s AS bigint"},
    {"changing-sequence", "ALTER TABLE t ALTER a SET INCREMENT BY 2", kDoubt, "ALTER TABLE t ALTER a SET START 2"},
    {"changing-sequence", "SELECT setval('s', 7)", kDoubt, "SELECT nextval('s'), 'setval'"},
    {"changing-sequence", "SELECT setval('app.the_t_a_b_seq'::regclass, 7)", kDoubt,
     "CREATE TABLE app.the_t (a_b serial); SELECT setval('app.the_t_a_b_seq'::regclass, 7)"},
    {"changing-sequence", "ALTER TABLE t ADD a int; ALTER SEQUENCE t_b_seq RESTART", kNothing,
     "ALTER TABLE t ADD b serial; ALTER SEQUENCE t_b_seq RESTART"},
    {"narrowing-publication", "ALTER PUBLICATION p DROP TABLE t", kNothing, "ALTER PUBLICATION p ADD TABLE t"},
    {"narrowing-publication", "ALTER PUBLICATION p SET TABLE t", kDoubt, "ALTER PUBLICATION p RENAME TO q"},
    {"narrowing-publication", "ALTER PUBLICATION p SET (publish = 'insert')", kDoubt,
     "CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert')"},
    {"missing-replica-identity", "ALTER TABLE t REPLICA IDENTITY NOTHING", kAdvice,
     "ALTER TABLE t REPLICA IDENTITY FULL"},
    {"dropping-unique-index", "DROP INDEX CONCURRENTLY i", kDoubt, "CREATE INDEX i ON t (a); DROP INDEX i"},
    {"replacing-definition", "CREATE OR REPLACE VIEW v AS SELECT 1 AS a", kDoubt,
     "CREATE VIEW v AS SELECT 1 AS a; CREATE OR REPLACE VIEW v AS SELECT 1 AS a"},
    {"replacing-definition", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", kDoubt,
     "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE "
     "sql AS 'SELECT 2'"},
    {"replacing-definition", "CREATE OR REPLACE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()", kDoubt,
     "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()"},
    {"locking-every-row", "SELECT * FROM t FOR UPDATE", kSame, "SELECT * FROM t WHERE a = 1 FOR UPDATE"},
    {"locking-every-row", "SELECT * FROM t, u FOR SHARE OF t", kAdvice, "SELECT * FROM t LIMIT 9 FOR SHARE OF t"},
    {"locking-every-row", "WITH c AS (SELECT 1 FROM t FOR NO KEY UPDATE) SELECT * FROM c", kSame,
     "WITH c AS (SELECT 1 FROM t) SELECT * FROM c FOR UPDATE"},
    {"enum-value-in-same-transaction", "ALTER TYPE e ADD VALUE 'b'; SELECT 'b'::e", kSame,
     "CREATE TYPE e AS ENUM ('a', 'b'); ALTER TYPE e ADD VALUE 'c'; SELECT 'b'::e"},
    {"enum-value-in-same-transaction", "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b'; SELECT 'b'::e", kSame,
     "ALTER TYPE e ADD VALUE 'b'; SELECT 'a'::e, b FROM t"},
    {"enum-value-in-same-transaction", "ALTER TYPE e ADD VALUE 'b'; ALTER TABLE t ADD a e DEFAULT 'b'", kSame,
     "ALTER TYPE e ADD VALUE 'b'; ALTER TABLE t ADD a e DEFAULT 'a'"},
    {"enum-value-in-same-transaction", "ALTER TYPE e ADD VALUE 'b'; UPDATE t SET a = 'b' WHERE id = 1", kAdvice,
     "ALTER TYPE e ADD VALUE 'b'; ALTER TYPE e ADD VALUE 'c' AFTER 'b'"},
    {"ban-drop-not-null", "ALTER TABLE t ALTER a DROP NOT NULL", kDoubt,
     "ALTER TABLE t ADD a int; ALTER TABLE t ALTER a DROP NOT NULL"},
    {"change-column-default", "ALTER TABLE t ALTER a DROP DEFAULT", kDoubt,
     "ALTER TABLE t ADD a int DEFAULT 1; ALTER TABLE t ALTER a DROP DEFAULT"},
    {"change-column-default", "ALTER TABLE t ALTER a SET DEFAULT 2", kDoubt, "ALTER TABLE t ALTER a SET STATISTICS 9"},
    {"change-column-with-not-null", "ALTER TABLE t ALTER a TYPE bigint, ALTER a SET NOT NULL", kSame,
     "ALTER TABLE t ALTER a TYPE bigint, ALTER b SET NOT NULL"},
    {"set-not-null-after-update", "UPDATE t SET a = 1 WHERE a IS NULL; ALTER TABLE t ALTER a SET NOT NULL", kSame,
     "UPDATE t SET b = 1 WHERE a IS NULL; ALTER TABLE t ALTER a SET NOT NULL"},
    {"validate-in-same-transaction",
     "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c", kSame,
     "ALTER TABLE o ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c"},
    {"validate-in-same-transaction", "ALTER TABLE t VALIDATE CONSTRAINT c, ADD COLUMN b int", kSame,
     "ALTER TABLE t VALIDATE CONSTRAINT c"},
    {"require-concurrent-refresh", "REFRESH MATERIALIZED VIEW v", kSame, "REFRESH MATERIALIZED VIEW CONCURRENTLY v"},
    {"affected-row-limit", "INSERT INTO a SELECT * FROM t", kAdvice, "INSERT INTO a SELECT * FROM t WHERE id = 7"},
    {"affected-row-limit", "INSERT INTO a SELECT * FROM t", kAdvice, "INSERT INTO a VALUES (1)"},
    {"column-assigned-twice", "UPDATE t SET a = 1, a = 2 WHERE id = 1", kSame,
     "UPDATE t SET a = 1, b = 2 WHERE id = 1"},
    {"column-assigned-twice", "INSERT INTO t (a, a) VALUES (1, 2)", kSame, "INSERT INTO t (a, b) VALUES (1, 2)"},
    {"statement-after-access-exclusive", "ALTER TABLE t ADD a int; CREATE INDEX i ON o (b)", kAdvice,
     "CREATE TABLE t (a int); CREATE INDEX i ON o (b)"},
    {"statement-after-access-exclusive", "ALTER TABLE t ADD a int; UPDATE o SET b = 1", kAdvice,
     "ALTER TABLE t ADD a int; COMMENT ON COLUMN t.a IS 'x'"},
    {"multiple-alter-table", "ALTER TABLE t ADD a int; ALTER TABLE t ADD b int", kAdvice,
     "ALTER TABLE t ADD a int; ALTER TABLE o ADD b int"},
    {"multiple-alter-table", "ALTER TABLE t ADD a int; ALTER TABLE t ADD b int", kAdvice,
     "ALTER TABLE t ADD a int; ALTER TABLE t SET (fillfactor = 70)"},
    {"multiple-alter-table", "ALTER TABLE t ADD a int; ALTER TABLE t ADD b int", kAdvice,
     "ALTER TABLE t ADD a int DEFAULT 1; ALTER TABLE t ALTER a DROP DEFAULT"},
    {"multiple-foreign-keys",
     "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o NOT VALID; ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES p NOT "
     "VALID",
     kAdvice,
     "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o NOT VALID; ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES o NOT "
     "VALID"},
    {"index-replaced-in-wrong-order", "CREATE INDEX i ON t (a); DROP INDEX i; CREATE INDEX j ON t (a, b)", kAdvice,
     "CREATE INDEX i ON t (a); CREATE INDEX j ON t (a, b); DROP INDEX i"},
    {"attach-partition-without-check", "ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)", kAdvice,
     "CREATE TABLE p (a int); ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)"},
    {"wide-index", "CREATE INDEX CONCURRENTLY i ON t (a, b, c, d)", kAdvice,
     "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a, b, c, d)"},
    {"data-depends", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", kAdvice, "CREATE INDEX CONCURRENTLY i ON t (a)"},
    {"missing-foreign-key-index", "CREATE TABLE t (a bigint REFERENCES o)", kAdvice,
     "CREATE TABLE t (a bigint REFERENCES o); CREATE INDEX i ON t (a)"},
    {"missing-foreign-key-index", "CREATE TABLE t (a int, b int, FOREIGN KEY (a, b) REFERENCES o)", kAdvice,
     "CREATE TABLE t (a int, b int, FOREIGN KEY (a, b) REFERENCES o, UNIQUE (b, a))"},
    {"mismatched-foreign-key-type", "CREATE TABLE o (id bigint PRIMARY KEY); CREATE TABLE t (a int REFERENCES o (id))",
     kAdvice, "CREATE TABLE o (id bigint PRIMARY KEY); CREATE TABLE t (a bigint REFERENCES o (id))"},
    {"ban-on-delete-cascade", "CREATE TABLE t (a bigint REFERENCES o ON DELETE CASCADE)", kAdvice,
     "CREATE TABLE t (a bigint REFERENCES o ON DELETE RESTRICT)"},
    {"add-column-json", "ALTER TABLE t ADD a json", kAdvice, "ALTER TABLE t ADD a jsonb"},
    {"prefer-bigint-over-int", "CREATE TABLE t (id int PRIMARY KEY)", kAdvice,
     "CREATE TABLE t (id bigint PRIMARY KEY)"},
    {"prefer-bigint-over-int", "CREATE TABLE t (id int, PRIMARY KEY (id))", kAdvice, "CREATE TABLE t (age int)"},
    {"prefer-bigint-over-smallint", "CREATE TABLE t (id smallint GENERATED ALWAYS AS IDENTITY)", kAdvice,
     "CREATE TABLE t (age smallint)"},
    {"prefer-identity", "CREATE TABLE t (id bigserial)", kAdvice,
     "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY)"},
    {"prefer-text-field", "ALTER TABLE t ADD a varchar(20)", kAdvice, "ALTER TABLE t ADD a varchar"},
    {"prefer-timestamptz", "ALTER TABLE t ADD a timestamp", kAdvice, "ALTER TABLE t ADD a timestamptz"},
    {"ban-char-field", "CREATE TABLE t (a char(3))", kAdvice, "CREATE TABLE t (a \"char\")"},
    {"ban-create-domain-with-constraint", "CREATE DOMAIN d AS int CHECK (value > 0)", kAdvice,
     "CREATE DOMAIN d AS int"},
    {"creating-enum", "CREATE TYPE e AS ENUM ('a')", kAdvice, "CREATE TYPE e AS (a int)"},
    {"require-enum-value-ordering", "ALTER TYPE e ADD VALUE 'b'", kAdvice, "ALTER TYPE e ADD VALUE 'b' BEFORE 'a'"},
    {"column-alignment", "CREATE TABLE t (a bool, b bigint, c bool, d bigint)", kAdvice,
     "CREATE TABLE t (b bigint, d bigint, a bool, c bool)"},
    {"identifier-too-long", "CREATE TABLE a23456789_123456789_123456789_123456789_123456789_123456789_1234 (b int)",
     kSame, "CREATE TABLE t (b text DEFAULT 'a23456789_123456789_123456789_123456789_123456789_123456789_1234')"},
    {"identifier-too-long", "SELECT \"a 3456789 123456789 123456789 123456789 123456789 123456789 1234\" FROM t", kSame,
     "SELECT \"a 3456789 123456789 123456789 123456789 123456789 123456789 123\" FROM t"},
    {"prefer-robust-stmts", "CREATE DATABASE d", kAdvice, "CREATE INDEX CONCURRENTLY i ON t (a)"},
    {"prefer-robust-stmts", "DROP TABLESPACE d", kAdvice, "DROP TABLESPACE IF EXISTS d"},
    {"adding-constrained-domain-field", "ALTER TABLE t ADD a positive", kAdvice, "ALTER TABLE t ADD a int"},
    {"primary-key-on-nullable", "ALTER TABLE t ADD PRIMARY KEY USING INDEX i", kAdvice,
     "ALTER TABLE t ADD UNIQUE USING INDEX i"},
};

// The same with shop_catalog() at hand: what the live schema adds and what it takes back.
struct CatalogCase {
  std::string_view rule;
  Phase phase;
  std::string_view caught;
  std::string_view twin;
};
void PrintTo(const CatalogCase& one, std::ostream* out) {
  *out << one.rule << ": " << one.caught;
}

const CatalogCase kCatalogCases[] = {
    {"require-concurrent-index-creation", Phase::expand, "CREATE INDEX i ON users (age)",
     "CREATE INDEX i ON lookup (label)"},
    {"require-concurrent-index-creation", Phase::expand, "CREATE INDEX i ON events (id)",
     "CREATE INDEX i ON ONLY events (id)"},
    {"concurrent-index-on-partitioned-table", Phase::expand, "CREATE INDEX CONCURRENTLY i ON events (id)",
     "CREATE INDEX CONCURRENTLY i ON events_2024 (id)"},
    {"require-concurrent-index-deletion", Phase::expand, "DROP INDEX users_age", "DROP INDEX lookup_pkey"},
    {"require-concurrent-index-deletion", Phase::expand, "DROP INDEX IF EXISTS users_age", "DROP INDEX IF EXISTS gone"},
    {"require-concurrent-reindex", Phase::expand, "REINDEX INDEX users_age", "REINDEX INDEX lookup_pkey"},
    {"require-concurrent-refresh", Phase::expand, "REFRESH MATERIALIZED VIEW totals", "REFRESH MATERIALIZED VIEW few"},
    {"ban-vacuum-full", Phase::expand, "VACUUM FULL users", "VACUUM FULL lookup"},
    {"table-rewrite", Phase::expand, "ALTER TABLE users SET UNLOGGED", "ALTER TABLE lookup SET UNLOGGED"},
    {"unbatched-dml", Phase::expand, "DELETE FROM users WHERE age > 9", "DELETE FROM lookup WHERE label = 'x'"},
    {"dml-without-where", Phase::expand, "UPDATE users SET age = 1", "UPDATE lookup SET label = 'x'"},
    {"affected-row-limit", Phase::expand, "INSERT INTO lookup SELECT id FROM users",
     "INSERT INTO users SELECT id FROM lookup"},
    {"adding-serial-field", Phase::expand, "ALTER TABLE users ADD n serial", "ALTER TABLE lookup ADD n serial"},
    {"adding-field-with-default", Phase::expand, "ALTER TABLE users ADD a int DEFAULT dice()",
     "ALTER TABLE users ADD a int DEFAULT steady()"},
    {"adding-constrained-domain-field", Phase::expand, "ALTER TABLE users ADD a positive",
     "ALTER TABLE users ADD a tiny"},
    {"adding-constrained-domain-field", Phase::expand, "ALTER TABLE users ADD a positive",
     "ALTER TABLE users ADD a mood"},
    {"adding-constrained-domain-field", Phase::expand,
     "CREATE DOMAIN d AS int CHECK (value > 0); ALTER TABLE users ADD a d",
     "CREATE TYPE d AS ENUM ('a'); ALTER TABLE users ADD a d"},
    {"adding-constrained-domain-field", Phase::expand,
     "CREATE DOMAIN d AS int; ALTER DOMAIN d SET NOT NULL; ALTER TABLE users ADD a public.d",
     "CREATE TYPE e AS (b int); ALTER TYPE e RENAME TO d; ALTER TABLE users ADD a d"},
    {"adding-constrained-domain-field", Phase::expand, "CREATE DOMAIN d AS positive; ALTER TABLE users ADD a d",
     "CREATE DOMAIN d AS int DEFAULT 1; ALTER TABLE users ADD a d"},
    {"adding-constrained-domain-field", Phase::expand, "ALTER TABLE users ADD a positive",
     "CREATE EXTENSION citext; ALTER TABLE users ADD a citext"},
    {"unanalysable-statement", Phase::expand, "SELECT dice()", "SELECT steady()"},
    {"changing-column-type", Phase::contract, "ALTER TABLE users ALTER email TYPE citext",
     "ALTER TABLE users ALTER state TYPE citext"},
    {"changing-column-type", Phase::expand, "ALTER TABLE users ALTER state TYPE citext",
     "ALTER TABLE users ALTER email TYPE varchar"},
    {"changing-column-type", Phase::expand, "ALTER TABLE users ALTER name TYPE varchar(10)",
     "ALTER TABLE users ALTER name TYPE varchar(30)"},
    {"changing-column-type", Phase::expand, "ALTER TABLE users ALTER age TYPE bigint",
     "ALTER TABLE users ALTER name TYPE text"},
    {"changing-column-type", Phase::expand, "ALTER TABLE orders ALTER total TYPE numeric(12,4)",
     "ALTER TABLE orders ALTER total TYPE numeric(12,2)"},
    {"changing-column-type", Phase::expand, "ALTER TABLE users ALTER seen TYPE date",
     "ALTER TABLE users ALTER seen TYPE timestamptz"},
    {"changing-column-type", Phase::contract, "ALTER TABLE users ALTER age TYPE bigint",
     "ALTER TABLE lookup ALTER label TYPE varchar(10)"},
    {"changing-type-under-check", Phase::expand, "ALTER TABLE users ALTER name TYPE text",
     "ALTER TABLE lookup ALTER label TYPE text"},
    {"adding-not-nullable-field", Phase::contract, "ALTER TABLE users ALTER age SET NOT NULL",
     "ALTER TABLE users ALTER name SET NOT NULL"},
    {"adding-not-nullable-field", Phase::contract, "ALTER TABLE users ALTER seen SET NOT NULL",
     "ALTER TABLE users VALIDATE CONSTRAINT users_seen_there; ALTER TABLE users ALTER seen SET NOT NULL"},
    {"adding-not-nullable-field", Phase::expand, "ALTER TABLE users ALTER age SET NOT NULL",
     "ALTER TABLE users ALTER email SET NOT NULL"},
    {"adding-not-nullable-field", Phase::contract,
     "ALTER TABLE users DROP CONSTRAINT users_name_there; ALTER TABLE users ALTER name SET NOT NULL",
     "ALTER TABLE lookup ALTER label SET NOT NULL"},
    {"ban-drop-not-null", Phase::expand, "ALTER TABLE users ALTER email DROP NOT NULL",
     "ALTER TABLE users ALTER age DROP NOT NULL"},
    {"change-column-default", Phase::expand, "ALTER TABLE users ALTER state DROP DEFAULT",
     "ALTER TABLE users ALTER age DROP DEFAULT"},
    {"constraint-missing-not-valid", Phase::contract, "ALTER TABLE users ADD CHECK (age > 1)",
     "ALTER TABLE lookup ADD CHECK (id > 1)"},
    {"adding-foreign-key-constraint", Phase::expand, "ALTER TABLE orders ADD FOREIGN KEY (item_id) REFERENCES users",
     "ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users"},
    {"primary-key-on-nullable", Phase::expand, "ALTER TABLE users ADD PRIMARY KEY USING INDEX users_age",
     "ALTER TABLE users ADD PRIMARY KEY USING INDEX users_email"},
    {"missing-foreign-key-index", Phase::expand,
     "ALTER TABLE orders ADD FOREIGN KEY (item_id) REFERENCES users NOT VALID",
     "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID"},
    {"mismatched-foreign-key-type", Phase::expand, "ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users",
     "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users"},
    {"ban-drop-object", Phase::expand, "ALTER TABLE users DROP CONSTRAINT users_pkey",
     "ALTER TABLE users DROP CONSTRAINT users_age_check"},
    {"dropping-foreign-key", Phase::contract, "ALTER TABLE orders DROP CONSTRAINT orders_user_fkey",
     "ALTER TABLE users DROP CONSTRAINT users_age_check"},
    {"drop-table-multiple-foreign-keys", Phase::contract, "DROP TABLE orders", "DROP TABLE notes"},
    {"attach-partition-without-check", Phase::expand,
     "ALTER TABLE events ATTACH PARTITION events_2023 FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
     "ALTER TABLE events ATTACH PARTITION events_2022 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')"},
    {"ban-alter-domain-with-add-constraint", Phase::contract, "ALTER DOMAIN positive ADD CHECK (value > 0)",
     "ALTER DOMAIN tiny ADD CHECK (value > 0)"},
    {"drop-blocked-by-dependents", Phase::contract, "ALTER TABLE users DROP COLUMN age",
     "ALTER TABLE users DROP COLUMN email"},
    {"drop-blocked-by-dependents", Phase::contract, "DROP TABLE users", "DROP TABLE orders"},
    {"drop-takes-along", Phase::contract, "ALTER TABLE users DROP COLUMN name", "ALTER TABLE orders DROP COLUMN total"},
    {"ban-drop-cascade", Phase::contract, "DROP TABLE users CASCADE", "DROP TABLE notes"},
    {"ban-drop-table", Phase::expand, "DROP TABLE users", "DROP TABLE IF EXISTS gone"},
    {"ban-drop-column", Phase::expand, "ALTER TABLE users DROP COLUMN name",
     "ALTER TABLE users DROP COLUMN IF EXISTS gone"},
    {"column-revoke-without-effect", Phase::expand, "REVOKE SELECT (age) ON users FROM reporting",
     "REVOKE SELECT (age) ON users FROM ann"},
    {"object-owner", Phase::expand, "ALTER TABLE theirs ADD a int", "ALTER TABLE users ADD a int"},
    {"index-replaced-in-wrong-order", Phase::contract, "DROP INDEX users_age; CREATE INDEX j ON users (age, email)",
     "DROP INDEX users_email; CREATE INDEX j ON users (age)"},
    {"statement-after-access-exclusive", Phase::expand, "ALTER TABLE lookup ADD a int; CREATE INDEX i ON users (age)",
     "ALTER TABLE users ADD a int; CREATE INDEX i ON lookup (label)"},
    {"ban-truncate-cascade", Phase::contract, "TRUNCATE users CASCADE", "TRUNCATE users"},
    {"changing-policy", Phase::expand, "ALTER POLICY p ON orders USING (false)",
     "ALTER POLICY p ON users USING (false)"},
    {"changing-sequence", Phase::expand, "ALTER SEQUENCE few RESTART", "CREATE SEQUENCE s; ALTER SEQUENCE s RESTART"},
    {"narrowing-publication", Phase::expand, "ALTER PUBLICATION feed SET TABLE users",
     "ALTER PUBLICATION feed ADD TABLE orders"},
    {"missing-replica-identity", Phase::contract, "ALTER TABLE users REPLICA IDENTITY NOTHING",
     "ALTER TABLE orders REPLICA IDENTITY NOTHING"},
    {"missing-replica-identity", Phase::expand, "ALTER TABLE log REPLICA IDENTITY DEFAULT",
     "ALTER TABLE users REPLICA IDENTITY DEFAULT"},
    {"missing-replica-identity", Phase::expand, "ALTER PUBLICATION feed ADD TABLE trail",
     "ALTER PUBLICATION feed ADD TABLE orders"},
    {"missing-replica-identity", Phase::expand, "CREATE PUBLICATION p FOR TABLE trail",
     "ALTER TABLE trail REPLICA IDENTITY FULL; CREATE PUBLICATION p FOR TABLE trail"},
    {"missing-replica-identity", Phase::expand, "CREATE PUBLICATION p FOR TABLE trail",
     "CREATE PUBLICATION p FOR TABLE trail WITH (publish = 'insert')"},
    {"dropping-unique-index", Phase::expand, "DROP INDEX CONCURRENTLY users_email",
     "DROP INDEX CONCURRENTLY users_age"},
    {"dropping-unique-index", Phase::expand, "DROP INDEX users_email",
     "CREATE UNIQUE INDEX j ON users (email); DROP INDEX users_email"},
    {"dropping-unique-index", Phase::expand,
     "CREATE UNIQUE INDEX j ON users (email) WHERE age > 1; DROP INDEX users_email", "DROP INDEX trail_once"},
    {"replacing-definition", Phase::expand, "CREATE OR REPLACE VIEW adults AS SELECT 1 AS id",
     "CREATE OR REPLACE VIEW fresh AS SELECT 1 AS id"},
    {"replacing-definition", Phase::expand,
     "CREATE OR REPLACE FUNCTION steady() RETURNS int LANGUAGE sql AS 'SELECT 1'",
     "CREATE OR REPLACE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE FUNCTION fresh() "
     "RETURNS int LANGUAGE sql AS 'SELECT 2'"},
    {"replacing-definition", Phase::expand,
     "CREATE OR REPLACE TRIGGER touch AFTER INSERT ON users EXECUTE FUNCTION f()",
     "CREATE OR REPLACE TRIGGER other AFTER INSERT ON users EXECUTE FUNCTION f()"},
    {"changing-collation", Phase::expand, "ALTER TABLE users ALTER email TYPE text COLLATE \"C\"",
     "ALTER TABLE users ALTER email TYPE text"},
    {"changing-collation", Phase::contract, "ALTER TABLE users ALTER email TYPE text COLLATE \"C\"",
     "ALTER TABLE users ALTER state TYPE text COLLATE \"C\""},
    {"locking-every-row", Phase::expand, "SELECT * FROM users FOR UPDATE", "SELECT * FROM lookup FOR UPDATE"},
    {"locking-every-row", Phase::expand, "SELECT 1 FROM users u, lookup l FOR UPDATE OF u",
     "SELECT 1 FROM users u, lookup l FOR UPDATE OF l"},
    {"enum-value-in-same-transaction", Phase::expand,
     "ALTER TYPE mood ADD VALUE 'b'; UPDATE lookup SET feeling = 'b' WHERE id = 1",
     "ALTER TYPE mood ADD VALUE 'b'; UPDATE lookup SET feeling = 'ok' WHERE id = 1"},
};

class RuleTest : public testing::TestWithParam<Case> {};

TEST_P(RuleTest, CatchesItAndNotItsTwin) {
  const Case& one = GetParam();
  const std::string rule(one.rule);
  const std::string warning = rule + " (warning)";
  const bool warns = one.in_contract == kAdvice || one.in_contract == kDoubt;
  EXPECT_THAT(rules_found(one.caught, Phase::expand), Contains(warns ? warning : rule));
  EXPECT_THAT(rules_found(one.twin, Phase::expand), Not(Contains(StartsWith(rule)))) << one.twin;
  const auto in_contract = rules_found(one.caught, Phase::contract);
  if (one.in_contract == kNothing || one.in_contract == kDoubt)
    EXPECT_THAT(in_contract, Not(Contains(StartsWith(rule))));
  if (one.in_contract == kSame) EXPECT_THAT(in_contract, Contains(rule));
  if (one.in_contract == kOnlyWarning || one.in_contract == kAdvice) EXPECT_THAT(in_contract, Contains(warning));
}

INSTANTIATE_TEST_SUITE_P(Rules, RuleTest, testing::ValuesIn(kCases));

class CatalogRuleTest : public testing::TestWithParam<CatalogCase> {};

TEST_P(CatalogRuleTest, CatchesItAndNotItsTwin) {
  static const core::CatalogSnapshot catalog = test::shop_catalog();
  const CatalogCase& one = GetParam();
  EXPECT_THAT(rules_found(one.caught, one.phase, &catalog), Contains(StartsWith(std::string(one.rule))));
  EXPECT_THAT(rules_found(one.twin, one.phase, &catalog), Not(Contains(StartsWith(std::string(one.rule))))) << one.twin;
  const auto findings = lint(one.caught, one.phase, &catalog);
  for (const Finding& finding : *findings) EXPECT_EQ(finding.sharper_with, "") << finding.rule;
}

INSTANTIATE_TEST_SUITE_P(Rules, CatalogRuleTest, testing::ValuesIn(kCatalogCases));

TEST(LintTest, EveryRuleHasACase) {
  // Of the whole plan, or of an option: tested in complete_test.cpp and below.
  constexpr auto kElsewhere = std::to_array<std::string_view>(
      {"backfill-without-needs", "backfill-without-way", "unused-ignore", "concurrent-under-timeout", "unknown-column",
       "require-table-schema", "concurrent-index-corruption", "ddl-in-backfill"});
  for (const Rule* rule : all_rules()) {
    const bool tested =
        std::ranges::any_of(kCases, [&](const Case& one) { return one.rule == rule->name; }) ||
        std::ranges::any_of(kCatalogCases, [&](const CatalogCase& one) { return one.rule == rule->name; }) ||
        std::ranges::find(kElsewhere, rule->name) != kElsewhere.end();
    EXPECT_TRUE(tested) << rule->name;
  }
}

TEST(LintTest, RulesHoldForTheServersTheyName) {
  auto catalog = test::shop_catalog();
  const std::string_view build = "CREATE INDEX CONCURRENTLY i ON users (age)";
  const std::string_view detach = "ALTER TABLE events DETACH PARTITION events_2024";
  const auto found_on = [&](int version, std::string_view sql) {
    catalog.server_version = version;
    return rules_found(sql, Phase::expand, &catalog);
  };
  EXPECT_THAT(found_on(140003, build), Contains("concurrent-index-corruption"));
  EXPECT_THAT(found_on(140003, "REINDEX INDEX CONCURRENTLY users_age"), Contains("concurrent-index-corruption"));
  EXPECT_THAT(found_on(140004, build), IsEmpty());
  EXPECT_THAT(found_on(130011, build), IsEmpty());
  EXPECT_THAT(rules_found(build, Phase::expand), IsEmpty());  // without a catalog nobody knows the version
  const std::string_view value = "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b'; SELECT 'b'::e";
  EXPECT_THAT(found_on(160004, value), Contains("enum-value-in-same-transaction"));
  EXPECT_THAT(found_on(170000, value), Not(Contains("enum-value-in-same-transaction")));
  EXPECT_THAT(found_on(140004, detach), Contains("require-concurrent-partition-detach (warning)"));
  EXPECT_THAT(found_on(130011, detach), Not(Contains("require-concurrent-partition-detach")));
}

TEST(LintTest, SaysHowSureItIs) {
  const auto catalog = test::shop_catalog();
  const auto severity = [&](std::string_view rule, std::string_view sql) {
    return found(rule, sql, Phase::expand, &catalog).severity;
  };
  EXPECT_EQ(severity("dropping-unique-index", "DROP INDEX CONCURRENTLY users_email"), Severity::error);
  EXPECT_EQ(severity("missing-replica-identity", "ALTER TABLE users REPLICA IDENTITY NOTHING"), Severity::error);
  EXPECT_EQ(severity("narrowing-publication", "ALTER PUBLICATION feed SET TABLE users"), Severity::error);
  EXPECT_EQ(severity("narrowing-publication", "ALTER PUBLICATION feed SET TABLE users, log"), Severity::warning);
  EXPECT_EQ(severity("enum-value-in-same-transaction",
                     "ALTER TYPE mood ADD VALUE 'b'; UPDATE lookup SET feeling = 'b' WHERE id = 1"),
            Severity::error);
  EXPECT_EQ(severity("enum-value-in-same-transaction",
                     "ALTER TYPE mood ADD VALUE 'b'; UPDATE lookup SET label = 'b' WHERE id = 1"),
            Severity::warning);
  EXPECT_THAT(
      found("narrowing-publication", "ALTER PUBLICATION feed SET TABLE users", Phase::expand, &catalog).concerned,
      ElementsAre("table log"));
  EXPECT_EQ(found("dropping-unique-index", "DROP INDEX CONCURRENTLY i").sharper_with, "whether i is unique");
}

TEST(LintTest, BackfillMovesRowsOnly) {
  EXPECT_THAT(rules_found("ALTER TABLE t ADD a int", Phase::backfill), ElementsAre("ddl-in-backfill"));
  EXPECT_THAT(rules_found("DROP TABLE t", Phase::backfill), ElementsAre("ddl-in-backfill"));
  EXPECT_THAT(rules_found("UPDATE t SET a = b WHERE a IS NULL", Phase::backfill), IsEmpty());
}

TEST(LintTest, TableSchemaIsAskedForOnRequest) {
  const auto rules = [](std::string_view sql) {
    const auto findings = lint(sql, Phase::expand, nullptr, {.require_table_schema = true});
    std::vector<std::string> names;
    for (const Finding& finding : *findings) names.push_back(finding.rule + " " + finding.subject.table);
    return names;
  };
  EXPECT_THAT(rules("ALTER TABLE t ADD a int"), ElementsAre("require-table-schema t"));
  EXPECT_THAT(rules("CREATE TABLE t (a int)"), ElementsAre("require-table-schema t"));
  EXPECT_THAT(rules("ALTER TABLE app.t ADD a int"), IsEmpty());
  EXPECT_THAT(rules_found("ALTER TABLE t ADD a int", Phase::expand), IsEmpty());
}

TEST(LintTest, SaysWhichPhaseAStatementBelongsTo) {
  const auto phase_of = [](std::string_view sql) -> std::string {
    PlanMemory memory(nullptr);
    const auto linted = lint_text(sql, Phase::expand, {}, memory);
    const auto phase = linted.statements.back().phase;
    return phase ? std::string(to_string(*phase)) : "none";
  };
  EXPECT_EQ(phase_of("ALTER TABLE t ADD a int"), "expand");
  EXPECT_EQ(phase_of("CREATE INDEX CONCURRENTLY i ON t (a)"), "expand");
  EXPECT_EQ(phase_of("UPDATE t SET a = b"), "backfill");
  EXPECT_EQ(phase_of("DELETE FROM t WHERE a = 1"), "backfill");
  EXPECT_EQ(phase_of("ALTER TABLE t DROP COLUMN a"), "contract");
  EXPECT_EQ(phase_of("DROP TABLE t"), "contract");
  EXPECT_EQ(phase_of("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"), "contract");
  EXPECT_EQ(phase_of("CREATE INDEX i ON t (a)"), "none");
  EXPECT_EQ(phase_of("DROP DATABASE d"), "none");
  EXPECT_EQ(phase_of("VACUUM FULL t"), "none");
}

TEST(LintTest, WithoutACatalogSaysWhatItWouldDecide) {
  EXPECT_THAT(found("changing-column-type", "ALTER TABLE t ALTER a TYPE text").sharper_with, HasSubstr("t.a"));
  EXPECT_THAT(found("adding-not-nullable-field", "ALTER TABLE t ALTER a SET NOT NULL").sharper_with,
              HasSubstr("CHECK"));
  EXPECT_THAT(found("adding-field-with-default", "ALTER TABLE t ADD a int DEFAULT f()").sharper_with,
              HasSubstr("volatil"));
  EXPECT_EQ(found("adding-field-with-default", "ALTER TABLE t ADD a int DEFAULT random()").sharper_with, "");
  EXPECT_THAT(found("unbatched-dml", "DELETE FROM t WHERE a = 1").sharper_with, HasSubstr("size of t"));
}

TEST(LintTest, ContractShowsWhatGoesAlong) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(
      found("drop-blocked-by-dependents", "ALTER TABLE users DROP COLUMN age", Phase::contract, &catalog).concerned,
      ElementsAre("view public.adults"));
  EXPECT_THAT(found("drop-takes-along", "ALTER TABLE users DROP COLUMN age", Phase::contract, &catalog).concerned,
              ElementsAre("publication feed of public.users", "index public.users_age", "constraint users_age_check"));
  EXPECT_THAT(found("drop-takes-along", "ALTER TABLE users DROP COLUMN name", Phase::contract, &catalog).concerned,
              Contains("function public.greet() (its text names it)"));
  EXPECT_THAT(found("drop-blocked-by-dependents", "DROP TABLE users", Phase::contract, &catalog).concerned,
              ElementsAre("view public.adults", "foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(found("ban-truncate-cascade", "TRUNCATE users CASCADE", Phase::contract, &catalog).concerned,
              ElementsAre("table orders"));
  // What the same statement drops is no obstacle.
  EXPECT_THAT(found("drop-blocked-by-dependents", "DROP TABLE users, orders", Phase::contract, &catalog).concerned,
              ElementsAre("view public.adults"));
}

TEST(LintTest, SaysWhereTheStatementStands) {
  const auto findings = lint("SELECT 1;\n-- away with it\n  /* é */ DROP TABLE users;", Phase::expand);
  ASSERT_EQ(findings->size(), 1U);
  EXPECT_EQ(findings->front().line, 3);
  EXPECT_EQ(findings->front().column, 11);
}

TEST(LintTest, SafeFormIsTheStatementMadeSafe) {
  const auto safe = [](std::string_view rule, std::string_view sql) { return safe_form(found(rule, sql)); };
  EXPECT_EQ(safe("require-concurrent-index-creation", "create unique index i ON app.t (a)"),
            "create unique index CONCURRENTLY i ON app.t (a)");
  EXPECT_EQ(safe("require-concurrent-index-deletion", "DROP INDEX i"), "DROP INDEX CONCURRENTLY i");
  EXPECT_EQ(safe("require-concurrent-reindex", "REINDEX TABLE t"), "REINDEX TABLE CONCURRENTLY t");
  EXPECT_EQ(safe("constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
            "contract: ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID\n"
            "contract: ALTER TABLE t VALIDATE CONSTRAINT c");
  EXPECT_EQ(safe("adding-foreign-key-constraint", "ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES o"),
            "ALTER TABLE t ADD CONSTRAINT t_a_b_fkey FOREIGN KEY (a, b) REFERENCES o NOT VALID\n"
            "ALTER TABLE t VALIDATE CONSTRAINT t_a_b_fkey");
  EXPECT_EQ(safe("adding-not-nullable-field", "ALTER TABLE app.t ALTER \"A\" SET NOT NULL"),
            "contract: set_not_null: app.t.\"A\"");
  EXPECT_EQ(safe("disallowed-unique-constraint", "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b)"),
            "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b)\nALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u");
  EXPECT_EQ(safe("ban-drop-table", "DROP TABLE a, b"), "contract: DROP TABLE a, b");
  EXPECT_EQ(safe("ban-drop-table", "DROP TABLE the_cascade"), "contract: DROP TABLE the_cascade");
  EXPECT_EQ(safe("ban-drop-table", "DROP TABLE a cascade"), "contract: DROP TABLE a");
  EXPECT_EQ(safe("ban-drop-cascade", "ALTER TABLE t DROP CONSTRAINT c cascade"), "ALTER TABLE t DROP CONSTRAINT c");
  EXPECT_EQ(safe("renaming-column", "ALTER TABLE t RENAME a TO b"),
            "expand: ALTER TABLE t ADD COLUMN b <type>\n"
            "backfill: backfill: table: t\nset: { b: a }\nwhere: b IS DISTINCT FROM a\n"
            "contract: ALTER TABLE t DROP COLUMN a");
  EXPECT_EQ(safe("multiple-alter-table", "ALTER TABLE \"T\" ADD a int; ALTER TABLE /* the */ \"T\"\n  ADD b int"),
            "ALTER TABLE \"T\" ADD a int, ADD b int");
  EXPECT_EQ(safe("multiple-alter-table", "alter table A add b text; alter table a add c text"),
            "alter table A add b text, add c text");
  EXPECT_EQ(safe("multiple-foreign-keys", "CREATE TABLE t (a bigint REFERENCES o, b bigint REFERENCES p)"), "");
  EXPECT_EQ(safe("unanalysable-statement", "DO $$ BEGIN NULL; END $$"), "<the statements of its body>");
  EXPECT_EQ(safe("data-depends", "CREATE UNIQUE INDEX CONCURRENTLY i ON t USING btree (a DESC, \"B\")"),
            "SELECT a, \"B\" FROM t WHERE a IS NOT NULL AND \"B\" IS NOT NULL GROUP BY a, \"B\" HAVING count(*) > 1 "
            "LIMIT 10");
  EXPECT_EQ(safe("data-depends",
                 "CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(coalesce(a, ')')) text_pattern_ops, (b + 1) DESC) "
                 "INCLUDE (c) NULLS NOT DISTINCT WHERE d OR e"),
            "SELECT lower(coalesce(a, ')')), (b + 1) FROM t WHERE (d OR e) GROUP BY lower(coalesce(a, ')')), (b + 1) "
            "HAVING count(*) > 1 LIMIT 10");
  EXPECT_EQ(safe("data-depends", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a) NULLS NOT DISTINCT"),
            "SELECT a FROM t WHERE true GROUP BY a HAVING count(*) > 1 LIMIT 10");
  EXPECT_EQ(safe("unbatched-dml", "UPDATE t SET a = lower(b), c = 'x, y' WHERE (d OR e) AND f"),
            "backfill: backfill: table: t\nset: { a: \"lower(b)\", c: \"'x, y'\" }\nwhere: \"(d OR e) AND f\"");
  EXPECT_EQ(safe("adding-field-with-default", "ALTER TABLE t ADD a float DEFAULT (1 + random()) NOT NULL, ADD b int"),
            "expand: ALTER TABLE t ADD COLUMN a float\n"
            "expand: ALTER TABLE t ALTER COLUMN a SET DEFAULT (1 + random())\n"
            "backfill: backfill: table: t\nset: { a: \"(1 + random())\" }\nwhere: a IS NULL\n"
            "contract: set_not_null: t.a");
  EXPECT_EQ(safe("constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) -- why"),
            "contract: ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID\n"
            "contract: ALTER TABLE t VALIDATE CONSTRAINT c");
  // What would change a row twice, or delete it, is no backfill as it stands.
  EXPECT_THAT(safe("unbatched-dml", "UPDATE t SET a = a + 1 WHERE a > 5"), HasSubstr("where: <"));
  EXPECT_THAT(safe("unbatched-dml", "UPDATE t AS u SET a = 1 WHERE u.a > 5"), HasSubstr("where: <"));
  EXPECT_EQ(safe("unbatched-dml", "DELETE FROM t WHERE a > 5"), "");
  EXPECT_THAT(
      safe("changing-column-type", "ALTER TABLE t ALTER a TYPE timestamptz USING a AT TIME ZONE 'Europe/Berlin'"),
      HasSubstr("set: { <new column>: \"a AT TIME ZONE 'Europe/Berlin'\" }"));
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(safe_form(found("renaming-column", "ALTER TABLE users RENAME name TO label", Phase::expand, &catalog)),
              HasSubstr("ADD COLUMN label character varying(20)"));
}

// Pasted into a plan, what refuses a statement says instead is refused by nothing; what only warns of it leaves what is
// refused for another reason.
int check_forms(std::string_view sql, Phase phase, const core::CatalogSnapshot* catalog) {
  int checked = 0;
  const auto findings = lint(sql, phase, catalog);
  for (const Finding& finding : *findings) {
    const std::string_view before = sql.substr(0, static_cast<std::size_t>(std::max(finding.column - 1, 0)));
    const auto pasted = test::paste(finding, phase, catalog, before);
    checked += pasted.steps;
    for (const std::string& refused : pasted.refused) {
      const std::string rule = refused.substr(0, refused.find(':'));
      const bool other_rule =
          finding.severity == Severity::warning && std::ranges::any_of(*findings, [&](const Finding& one) {
            return one.rule == rule && one.severity == Severity::error;
          });
      EXPECT_TRUE(other_rule) << sql << "\n  in " << to_string(phase) << " is refused by " << finding.rule << ":\n"
                              << safe_form(finding) << "\n  which is refused by " << refused;
    }
  }
  return checked;
}

TEST(LintTest, SafeFormsPass) {
  const auto catalog = test::shop_catalog();
  int checked = 0;
  for (const Case& one : kCases) {
    for (const Phase phase : {Phase::expand, Phase::contract}) {
      checked += check_forms(one.caught, phase, nullptr);
      checked += check_forms(one.caught, phase, &catalog);
    }
  }
  for (const CatalogCase& one : kCatalogCases) {
    for (const Phase phase : {Phase::expand, Phase::contract}) {
      checked += check_forms(one.caught, phase, nullptr);
      checked += check_forms(one.caught, phase, &catalog);
      checked += check_forms(one.twin, phase, &catalog);
    }
  }
  EXPECT_GT(checked, 500);
}

TEST(LintTest, MessageNamesTheObject) {
  EXPECT_THAT(found("ban-drop-column", "ALTER TABLE app.users DROP COLUMN name").message, HasSubstr("app.users.name"));
  EXPECT_THAT(found("require-statement-timeout", "SET LOCAL statement_timeout = 0").message,
              HasSubstr("statement_timeout"));
}

TEST(LintTest, FindsEachSubcommand) {
  EXPECT_THAT(
      rules_found("ALTER TABLE t DROP COLUMN a CASCADE, ADD b serial PRIMARY KEY, ALTER c SET NOT NULL", Phase::expand),
      ElementsAre("ban-drop-column", "ban-drop-cascade", "adding-serial-field", "adding-serial-primary-key-field",
                  "prefer-identity (warning)", "prefer-bigint-over-int (warning)", "adding-not-nullable-field"));
}

TEST(LintTest, DestructionIsContracts) {
  EXPECT_THAT(rules_found("ALTER TABLE users DROP COLUMN name; DROP TABLE legacy; DROP FUNCTION f(); TRUNCATE old",
                          Phase::contract),
              IsEmpty());
  EXPECT_THAT(rules_found("DROP TABLE legacy CASCADE", Phase::contract), ElementsAre("ban-drop-cascade"));
}

TEST(LintTest, SyntaxErrorIsAFindingWithItsPlace) {
  const Finding error = found("syntax-error", "SELECT 1;\n  DROP TABEL t");
  EXPECT_EQ(error.message, "syntax error at or near \"TABEL\"");
  EXPECT_EQ(error.line, 2);
  EXPECT_EQ(error.column, 8);
  EXPECT_EQ(found("syntax-error", " ; -- nothing").message, "the SQL holds no statement");
}

}  // namespace
}  // namespace diastole::sql

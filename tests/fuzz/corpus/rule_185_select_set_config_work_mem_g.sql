SELECT set_config('work_mem', '1GB', true);
SELECT pg_catalog.set_config(x, '', true) FROM t;
SELECT current_setting('search_path');
DROP DATABASE d
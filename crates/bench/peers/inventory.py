"""Compares two S3 Inventory reports with DuckDB: python inventory.py SOURCE DESTINATION csv|parquet SPILL_FOLDER OUTPUT.

Prints the number of keys that differ, and writes them to OUTPUT.
"""

import sys

import duckdb

COLUMNS = {
    name: "VARCHAR"
    for name in (
        "bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "last_modified_date", "e_tag",
        "storage_class", "encryption_status",
    )
}  # fmt: skip


def main(source, destination, file_format, spill_folder, output):
    """Compares the reports."""
    database = duckdb.connect()
    database.execute("SET memory_limit = '1GiB'")
    database.execute("SET preserve_insertion_order = false")
    database.execute(f"SET temp_directory = '{spill_folder}'")

    def rows(folder):
        if file_format == "csv":
            return f"read_csv('{folder}/data/*.csv.gz', header = false, columns = {COLUMNS})"
        return f"read_parquet('{folder}/data/*.parquet')"

    compared = "key, CAST(size AS BIGINT) AS size, e_tag"
    database.execute(
        f"""
        COPY (
            SELECT key, s.size, d.size, s.e_tag, d.e_tag
            FROM (SELECT {compared} FROM {rows(source)}) AS s
            FULL JOIN (SELECT {compared} FROM {rows(destination)}) AS d USING (key)
            WHERE s.size IS DISTINCT FROM d.size OR s.e_tag IS DISTINCT FROM d.e_tag
        ) TO '{output}' (FORMAT csv, HEADER false)
        """
    )
    with open(output, encoding="utf-8") as differences:
        print(sum(1 for _ in differences))


main(*sys.argv[1:])

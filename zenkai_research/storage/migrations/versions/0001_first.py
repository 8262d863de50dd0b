"""The first tables: pictures, files, metadata, tags, scorers, runs, scores, errors."""

import sqlalchemy as sa
from alembic import op

from zenkai_research.storage.schema import FileName, UTCTime

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "roots",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("archive", sa.Boolean, nullable=False),
    )
    op.create_table(
        "mounts",
        sa.Column("root_id", sa.Integer, sa.ForeignKey("roots.id", ondelete="CASCADE", name="fk_mounts_root_id"), primary_key=True),
        sa.Column("machine", sa.Text, primary_key=True),
        sa.Column("location", FileName, nullable=False),
    )
    op.create_table(
        "pictures",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Text),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("phash", sa.BigInteger),
        sa.Column("facts", sa.Integer, nullable=False),
        sa.Column("added", UTCTime, nullable=False),
        sa.UniqueConstraint("digest", name="uq_pictures_digest"),
    )
    op.create_index("ix_pictures_phash", "pictures", ["phash"])
    op.create_table(
        "files",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("root_id", sa.Integer, sa.ForeignKey("roots.id", name="fk_files_root_id"), nullable=False),
        sa.Column("path", FileName, nullable=False),
        sa.Column("picture_id", sa.Integer, sa.ForeignKey("pictures.id", name="fk_files_picture_id")),
        sa.Column("size", sa.BigInteger),
        sa.Column("mtime_ns", sa.BigInteger),
        sa.Column("raw", FileName),
        sa.Column("missing", sa.Boolean, nullable=False),
        sa.Column("first_run", sa.Integer, nullable=False),
        sa.Column("seen_run", sa.Integer, nullable=False),
        sa.UniqueConstraint("root_id", "path", name="uq_files_root_id_path"),
    )
    op.create_index("ix_files_picture_id", "files", ["picture_id"])
    op.create_table(
        "metadata",
        sa.Column("picture_id", sa.Integer, sa.ForeignKey("pictures.id", ondelete="CASCADE", name="fk_metadata_picture_id"), primary_key=True),
        sa.Column("taken", sa.Text),
        sa.Column("camera", sa.Text),
        sa.Column("lens", sa.Text),
        sa.Column("rating", sa.Integer),
        sa.Column("latitude", sa.Float),
        sa.Column("longitude", sa.Float),
        sa.Column("record", sa.JSON, nullable=False),
    )
    for column in ("taken", "camera", "lens"):
        op.create_index(f"ix_metadata_{column}", "metadata", [column])
    op.create_table(
        "tags",
        sa.Column("picture_id", sa.Integer, sa.ForeignKey("pictures.id", ondelete="CASCADE", name="fk_tags_picture_id"), primary_key=True),
        sa.Column("tag", sa.Text, primary_key=True),
        sa.Column("added", UTCTime, nullable=False),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"])
    op.create_table(
        "scorers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("provenance", sa.JSON, nullable=False),
        sa.Column("used", UTCTime),
        sa.UniqueConstraint("fingerprint", name="uq_scorers_fingerprint"),
    )
    op.create_index("ix_scorers_name", "scorers", ["name"])
    op.create_table(
        "outputs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("scorer_id", sa.Integer, sa.ForeignKey("scorers.id", ondelete="CASCADE", name="fk_outputs_scorer_id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("help", sa.Text, nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("better", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.UniqueConstraint("scorer_id", "name", name="uq_outputs_scorer_id_name"),
    )
    op.create_index("ix_outputs_scorer_id", "outputs", ["scorer_id"])
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("started", UTCTime, nullable=False),
        sa.Column("finished", UTCTime),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("process", sa.Integer, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON),
    )
    op.create_table(
        "scores",
        sa.Column("picture_id", sa.Integer, sa.ForeignKey("pictures.id", ondelete="CASCADE", name="fk_scores_picture_id"), primary_key=True),
        sa.Column("output_id", sa.Integer, sa.ForeignKey("outputs.id", ondelete="CASCADE", name="fk_scores_output_id"), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id", name="fk_scores_run_id"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_scores_output_id_value", "scores", ["output_id", "value"])
    op.create_table(
        "errors",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("file_id", sa.Integer, sa.ForeignKey("files.id", ondelete="CASCADE", name="fk_errors_file_id"), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("scorer", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id", name="fk_errors_run_id"), nullable=False),
        sa.UniqueConstraint("file_id", "stage", "scorer", name="uq_errors_file_id_stage_scorer"),
    )
    op.create_index("ix_errors_file_id", "errors", ["file_id"])


def downgrade():
    for table in ("errors", "scores", "runs", "outputs", "scorers", "tags", "metadata", "files", "pictures", "mounts", "roots"):
        op.drop_table(table)

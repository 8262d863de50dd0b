"""Pictures that a scorer has no value for, by its definition."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.create_table(
        "unmeasured",
        sa.Column("picture_id", sa.Integer, sa.ForeignKey("pictures.id", ondelete="CASCADE", name="fk_unmeasured_picture_id"), primary_key=True),
        sa.Column("output_id", sa.Integer, sa.ForeignKey("outputs.id", ondelete="CASCADE", name="fk_unmeasured_output_id"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id", name="fk_unmeasured_run_id"), nullable=False),
    )


def downgrade():
    op.drop_table("unmeasured")

"""Rows -> tables -> figures."""

from ..lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "tables": "results aggregate named only_corpora apart_by_corpus by_ratio forgotten "
        "last_phases learning anchors",
        "arm_names": "short_names",
        "budgets": "check_budgets",
        "comparison": "against_base against_single best_dev by_arm claims comparable "
        "compare compare_arms compare_rivals finals intervals repetitions",
        "matrices": "transfer transfers weight_grids",
        "leaderboard": "board_table board_text leaders markdown write_leaderboard",
        "published_files": "published_counts published_rows published_tables",
        "measures": "leak_free_f1 measured recall_of_groups score_bins",
        "table_pages": "page",
        "publishing": "publish",
        "costs": "cost_table on_front systems",
    },
)

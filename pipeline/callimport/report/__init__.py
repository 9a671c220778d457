"""What people and machines are told: terminal · json · html, and the talk while a run goes on."""

from callimport.report.call_history import history_lines, print_found
from callimport.report.html import write_html, write_run
from callimport.report.in_doubt import doubts_line
from callimport.report.json import one_line, summary_json
from callimport.report.preview import print_trial, trial_json
from callimport.report.progress import Stderr, Talk, adopted_line, adoption_line, progress_figures
from callimport.report.recordings import due_lines
from callimport.report.terminal import lists, print_result, print_settled, print_status, say
from callimport.report.verify import print_verified, verified_so_far, verify_line

__all__ = [
    "Stderr",
    "Talk",
    "adopted_line",
    "adoption_line",
    "doubts_line",
    "due_lines",
    "history_lines",
    "lists",
    "one_line",
    "print_found",
    "print_result",
    "print_settled",
    "print_status",
    "print_trial",
    "print_verified",
    "progress_figures",
    "say",
    "summary_json",
    "trial_json",
    "verified_so_far",
    "verify_line",
    "write_html",
    "write_run",
]

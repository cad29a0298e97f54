"""From runs to one report: tables, figures, and a page that needs no network."""

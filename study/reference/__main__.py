"""Prints the reference page.

python -m study.reference > study/REFERENCE.md
"""

from study.reference.page import reference_page

if __name__ == "__main__":
    print(reference_page(), end="")

"""Recognizes what a message asks of the documents beyond a look-up: all of them, or pages of them.

Both are recognized by words of common languages. A request in another language that matches no chunk is treated as one
about the whole document anyway, so these words matter only where some chunk happens to match.
"""

import re
from typing import Final

from documents.answering.request_words import ABOUT, BRIEF, SUMMARY
from documents.text import keywords
from documents.words import fold

_MAX_PAGES: Final = 50  # of one request
_MAX_CHARS: Final = 2_000  # of a message that is read for page numbers: a longer one contains pasted text
_RANGE: Final = r"(\d{1,5})(?:\s*(?:[-‐-―~]|to|bis|a|al|до|and|und|et|y|e|и|,)\s*(\d{1,5}))?"
_PAGE_WORDS: Final = (
    "pages?|pp?\\.|pgs?\\.?|seiten?|s\\.|paginas?|pags?\\.?|pagine|strony|strona|stronie|strone|str\\.?|stran[auey]|straně"
    "|страниц[аыеу]|стр\\.?|сторінк[аиу]|sayfa|sivu(?:lla|n|t)?|sidan?|sider?|siden|trang|halaman|hal\\.|oldal(?:on)?"
    "|σελιδα|σελ\\.?|صفحه|الصفحه|عمود|עמוד|पृष्ठ|पेज|หนา|หน้า|ໜ້າ|ទំព័រ"
)
_PAGE: Final = re.compile(
    "|".join(
        [
            rf"(?<![^\W\d_])(?:{'|'.join(fold(word) for word in _PAGE_WORDS.split('|'))})\s*(?:no\.?|nr\.?|n[o°]|number|#)?\s*:?\s*{_RANGE}(?!\d)",
            r"(?:第\s*)?(\d{1,5})\s*(?:[-‐-―~]\s*(\d{1,5})\s*)?(?:页|頁|ページ|페이지|쪽)",
            r"(\d{1,5})\s*(?:\.|st|nd|rd|th|a|º|ª)\s*(?:page|seite|sayfa|oldal|strona|stranka|pagina)(?!\w)",
            r"(\d{1,5})\s*-?\s*(?:я|й|и|ю)?\s*(?:страниц|сторінк)",
        ]
    )
)
# Words of requests about a whole document, by beginnings in folded form.
_DOCUMENT_WORDS: Final = re.compile(
    r"(?<!\w)(?:chapter by chapter|section by section|(?:each|every|by|per|all) (?:chapters?|sections?)|manuals?|books?|guides?"
    r"|handbooks?|booklets?|specifications?|theses|thesis|detailed|thorough|comprehensive|complete|quick|handbuch\w*|buch\w*"
    r"|jedes? kapitels?|ausfuhrlich\w*|livre|manuel|guide|libro|manuale?s?|livro|manuais|boek|handboek|bok\w*|ksiazk\w*"
    r"|podrecznik\w*|knih\w*|kniga|книг\w*|руководств\w*|изложи\w*|подробн\w*|сделаи|напиши|kitab\w*|kitap\w*|documents?|files?|pdfs?|texts?|papers?|articles?|reports?|attachments?|uploads?|pages?|contents?|whole|entire|full|brief\w*|short\w*|please|give|list|make|write|wrote|tell"
    r"|show|create|sentences?|one|two|three|four|five|ten|can|could|words?|bullets?|lines?|paragraphs?|main|key|points?|topics?|dokument\w*|datei\w*|text\w*|bitte|kurz\w*|zusammen|in|drei|funf|hay|tai lieu|cuoc|nay|ini|satz\w*|satze\w*|inhalt\w*"
    r"|documento\w*|archivo\w*|fichier\w*|texte\w*|texto\w*|testo|file|arquivo\w*|bestand\w*|dokumen\w*|belge\w*|dosya\w*|asiakirj\w*|документ\w*|файл\w*|текст\w*"
    r"|пожалуиста|εγγραφο\w*|αρχειο\w*|مستند\w*|المستند|الملف|وثيقه|הקובץ|המסמך|मसौद\w*|दस्तावेज\w*|इस|का|की|दें|दो|करें|कीजिए|फाइल)(?!\w)|文档|文件|文書|手册|手冊|本书|本書|这本书?|这份|書|书|全文|每一?章|各章|책|매뉴얼|หนังสือ|คู่มือ|文章|資料|資料|この|这个|这份|这篇|請|请|문서|파일|글|[ぁ-ん]+|주세요|해줘|해|좀|이|을|를|เอกสาร|ไฟล|นี|ข้อความ|\d+"
)


def asks_for_whole_document(message: str) -> bool:
    """Whether the message asks for a summary or the like, and names no other subject ("Summarize the leave policy")."""
    return asks_for_summary(message) or _asks_only_for(ABOUT, message)


def asks_for_summary(message: str) -> bool:
    """Whether only all of a document answers the message, and not its beginning and its end as for "Who wrote this?"."""
    return _asks_only_for(SUMMARY, message)


def asks_for_brief_answer(message: str) -> bool:
    return len(message) <= _MAX_CHARS and BRIEF.search(fold(message)) is not None


def _asks_only_for(words: re.Pattern[str], message: str) -> bool:
    if len(message) > _MAX_CHARS:
        return False
    folded = fold(message)
    if words.search(folded) is None:
        return False
    return not keywords(_DOCUMENT_WORDS.sub(" ", ABOUT.sub(" ", SUMMARY.sub(" ", folded))))


def requested_pages(message: str) -> tuple[int, ...]:
    """The page numbers that the message names, in order: "page 3", "Seiten 2-4", "第3页"."""
    pages = dict[int, None]()
    if len(message) > _MAX_CHARS:
        return ()
    for match in _PAGE.finditer(fold(message)):
        numbers = [int(group) for group in match.groups() if group]
        pages |= dict.fromkeys(range(numbers[0], max(numbers) + 1))
        if len(pages) > _MAX_PAGES:
            break
    return tuple(page for page in pages if page)[:_MAX_PAGES]

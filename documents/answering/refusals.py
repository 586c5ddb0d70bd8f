"""What is answered when the documents do not answer the question, in the language of the question."""

from typing import Final

from documents.words import language_of

NOT_IN_DOCUMENTS: Final = "The documents do not answer this question."
# The refusal, and the number of documents that are still being ingested.
_REFUSALS: Final = {
    "de": ("Die Dokumente beantworten diese Frage nicht.", "Noch in Verarbeitung: {} Dokument(e)."),
    "fr": ("Les documents ne répondent pas à cette question.", "Documents encore en cours de traitement : {}."),
    "es": ("Los documentos no responden a esta pregunta.", "Documentos aún en proceso: {}."),
    "it": ("I documenti non rispondono a questa domanda.", "Documenti ancora in elaborazione: {}."),
    "pt": ("Os documentos não respondem a esta pergunta.", "Documentos ainda em processamento: {}."),
    "nl": ("De documenten beantwoorden deze vraag niet.", "Documenten die nog worden verwerkt: {}."),
    "sv": ("Dokumenten besvarar inte den här frågan.", "Dokument som fortfarande behandlas: {}."),
    "da": ("Dokumenterne besvarer ikke dette spørgsmål.", "Dokumenter, der stadig behandles: {}."),
    "fi": ("Asiakirjat eivät vastaa tähän kysymykseen.", "Vielä käsiteltävänä olevia asiakirjoja: {}."),
    "pl": ("Dokumenty nie odpowiadają na to pytanie.", "Dokumenty wciąż przetwarzane: {}."),
    "cs": ("Dokumenty na tuto otázku neodpovídají.", "Dokumenty, které se ještě zpracovávají: {}."),
    "hu": ("A dokumentumok nem válaszolják meg ezt a kérdést.", "Még feldolgozás alatt álló dokumentumok: {}."),
    "ro": ("Documentele nu răspund la această întrebare.", "Documente încă în curs de procesare: {}."),
    "tr": ("Belgeler bu soruyu yanıtlamıyor.", "Hâlâ işlenmekte olan belge sayısı: {}."),
    "id": ("Dokumen tidak menjawab pertanyaan ini.", "Dokumen yang masih diproses: {}."),
    "vi": ("Các tài liệu không trả lời câu hỏi này.", "Số tài liệu đang được xử lý: {}."),
    "ru": ("В документах нет ответа на этот вопрос.", "Документов ещё в обработке: {}."),
    "uk": ("У документах немає відповіді на це запитання.", "Документів ще в обробці: {}."),
    "el": ("Τα έγγραφα δεν απαντούν σε αυτή την ερώτηση.", "Έγγραφα που υποβάλλονται ακόμη σε επεξεργασία: {}."),
    "ar": ("المستندات لا تجيب عن هذا السؤال.", "مستندات لا تزال قيد المعالجة: {}."),
    "fa": ("اسناد به این پرسش پاسخ نمی‌دهند.", "اسناد در حال پردازش: {}."),
    "he": ("המסמכים אינם עונים על השאלה הזאת.", "מסמכים שעדיין בעיבוד: {}."),
    "hi": ("दस्तावेज़ों में इस प्रश्न का उत्तर नहीं है।", "अभी संसाधित हो रहे दस्तावेज़: {}।"),
    "th": ("เอกสารไม่มีคำตอบสำหรับคำถามนี้", "เอกสารที่ยังประมวลผลอยู่: {}"),
    "zh": ("文档中没有这个问题的答案。", "仍在处理的文档：{}。"),
    "ja": ("文書にはこの質問の答えがありません。", "処理中の文書: {}。"),
    "ko": ("문서에 이 질문의 답이 없습니다.", "아직 처리 중인 문서: {}."),
}


def refusal(question: str) -> str:
    """In the language of the question if it is in the table, else in English."""
    return _REFUSALS.get(language_of(question), (NOT_IN_DOCUMENTS,))[0]


def not_in_documents_message(pending_documents: int, question: str) -> str:
    """`pending_documents` is the number of documents still being ingested, which may contain the answer."""
    text = refusal(question)
    if not pending_documents:
        return text
    if text == NOT_IN_DOCUMENTS:
        subject = "1 document is" if pending_documents == 1 else f"{pending_documents} documents are"
        return f"{text} {subject} still being ingested."
    return f"{text} {_REFUSALS[language_of(question)][1].format(pending_documents)}"
